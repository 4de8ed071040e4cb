"""The pages and their addresses. All of them only read."""

from contextlib import suppress
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lorchestra.errors import InternalError, LorchestraError, StoreError, UnknownRunError
from lorchestra.history import list_runs
from lorchestra.jobs.failure import stack_hint
from lorchestra.web.job_page import job_page
from lorchestra.web.live import Changes
from lorchestra.web.objects_page import object_page, objects_page, source_page
from lorchestra.web.overview import overview
from lorchestra.web.reading import Reading
from lorchestra.web.rendering import environment
from lorchestra.web.run_page import Verify, run_page
from lorchestra.web.timeline import timeline_page

RUNS_LISTED = 100
_STATES = ("running", "succeeded", "failed")
#: A store that cannot be asked now is asked again by the browser.
_RETRY_SECONDS = "5"

Context = dict[str, Any]


class Pages:
    """Answers requests out of one store."""

    def __init__(self, reading: Reading, *, verify: Verify) -> None:
        self._reading = reading
        self._verify = verify
        self._templates = environment()
        # Whoever opens the page first does not wait for it; a store that cannot be asked now is asked then.
        with suppress(StoreError):
            overview(reading)

    def overview(self, request: Request) -> Response:
        """Every job."""
        return self._page(request, "overview.html", overview(self._reading))

    def timeline(self, request: Request) -> Response:
        """The runs of a span of time."""
        query = request.query_params
        return self._page(
            request, "timeline.html", timeline_page(self._reading, query.get("span"), query.get("until"))
        )

    def runs(self, request: Request) -> Response:
        """The newest runs."""
        job, state = request.query_params.get("job", ""), request.query_params.get("state", "")
        found = list_runs(
            self._reading.store, job=job, state=state if state in _STATES else None, limit=RUNS_LISTED
        )
        names = [one.job_name for one in self._reading.healths()]
        return self._page(
            request,
            "runs.html",
            {
                "runs": found,
                "job": job,
                "state": state,
                "names": sorted(names),
                "states": _STATES,
                "limit": RUNS_LISTED,
            },
        )

    def run(self, request: Request) -> Response:
        """One run."""
        # Where checking costs nothing it is done at once, else when it is asked for.
        wanted = not self._reading.is_billed or "verify" in request.query_params
        try:
            context = run_page(
                self._reading, request.query_params.get("id", ""), verify=self._verify if wanted else None
            )
        except UnknownRunError:
            raise _not_found("There is no run of this id.") from None
        return self._page(request, "run.html", context)

    def job(self, request: Request) -> Response:
        """One job."""
        context = job_page(self._reading, request.query_params.get("name", ""))
        return self._page(request, "job.html", _found(context, "There is no job of this name."))

    def objects(self, request: Request) -> Response:
        """Every source."""
        return self._page(request, "objects.html", objects_page(self._reading))

    def object(self, request: Request) -> Response:
        """One object."""
        context = object_page(self._reading, request.query_params.get("key", ""))
        return self._page(request, "object.html", _found(context, "There is no object of this key."))

    def source(self, request: Request) -> Response:
        """One source."""
        query = request.query_params
        context = source_page(self._reading, query.get("system", ""), query.get("type", ""))
        return self._page(request, "source.html", _found(context, "There is no source of this name."))

    def missing(self, request: Request, error: Exception) -> Response:
        """An address that leads nowhere."""
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
        context = {"message": error.detail, "next_step": ""}
        return self._page(request, "error.html", context, status=error.status_code)

    def failed(self, request: Request, error: Exception) -> Response:
        """What the store, or an argument, made impossible."""
        assert isinstance(error, LorchestraError)  # noqa: S101 - it is registered for these
        # Its place is a path, which is for the terminal alone.
        context = {"message": error.message, "next_step": error.next_step}
        answer = self._page(request, "error.html", context, status=503 if error.retryable else 500)
        if error.retryable:
            answer.headers["Retry-After"] = _RETRY_SECONDS
        return answer

    def defect(self, request: Request, error: Exception) -> Response:
        """What nobody foresaw: where it was, and nothing of the data."""
        told = InternalError(f"lorchestra itself failed: {type(error).__name__} in {stack_hint(error)}")
        return self._page(request, "error.html", {"message": told.message, "next_step": ""}, status=500)

    def _page(self, request: Request, template: str, context: Context, *, status: int = 200) -> Response:
        text = self._templates.get_template(template).render(path=request.url.path, **context)
        return HTMLResponse(text, status_code=status)


def make_app(reading: Reading, *, verify: Verify, changes: Changes) -> Starlette:
    """The application, for everybody: `Access` has to stand before it."""
    pages = Pages(reading, verify=verify)
    return Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/timeline", pages.timeline),
            Route("/runs", pages.runs),
            # Names and ids may be anybody's, and hold what a path gives a meaning to.
            Route("/run", pages.run),
            Route("/job", pages.job),
            Route("/objects", pages.objects),
            Route("/source", pages.source),
            Route("/object", pages.object),
            Route("/live", changes.stream),
            Mount("/static", StaticFiles(directory=str(files("lorchestra.web") / "static"))),
        ],
        exception_handlers={
            HTTPException: pages.missing,
            LorchestraError: pages.failed,
            Exception: pages.defect,
        },
    )


def _found(context: Context | None, otherwise: str) -> Context:
    if context is None:
        raise _not_found(otherwise)
    return context


def _not_found(text: str) -> HTTPException:
    return HTTPException(404, text)
