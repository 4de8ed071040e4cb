"""Which jobs there are: entry points of installed packages, and `[jobs.NAME]` tables of `lorchestra.toml`."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from lorchestra.config import (
    JOB_NAME_RULE,
    JobSettings,
    Settings,
    is_job_name,
    kind_of_mistakes,
    unknown_key,
)
from lorchestra.errors import (
    ConfigError,
    LorchestraError,
    MissingKeyError,
    UnknownJobError,
    UnknownKeyError,
    UsageError,
)
from lorchestra.jobs.compare import compare
from lorchestra.jobs.context import JobContext, JobFunction, JobResult
from lorchestra.jobs.dry_run import dry_run
from lorchestra.jobs.ingest import ingest
from lorchestra.jobs.ingest_gmail import ingest_gmail
from lorchestra.jobs.retry import can_be_retried
from lorchestra.jobs.stored import ObjectsOfSource
from lorchestra.model import Finding
from lorchestra.redact import redact
from lorchestra.rejects import Reject
from lorchestra.sources.base import Source, SourceContext, SourceOptions, SourceType, source_type

ENTRY_POINT_GROUP = "lorchestra.jobs"
#: The package that jobs of `lorchestra.toml` belong to.
OWN_PACKAGE = "lorchestra"


class _IngestFunction(Protocol):
    def __call__(self, context: JobContext, *, source: Source, kind: SourceType) -> JobResult: ...


# Sources of Gmail message resources; every other source is ingested under its own key function.
_INGEST_FUNCTIONS: dict[str, _IngestFunction] = {
    "gmail": ingest_gmail,
    "mbox": ingest_gmail,
    "takeout": ingest_gmail,
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that can be run. `package_name` says who brings it."""

    name: str
    package_name: str
    settings: JobSettings
    entry_point: EntryPoint | None = None

    @property
    def description(self) -> str:
        """What the configuration says it is for, else what it is made of."""
        if self.settings.description:
            return self.settings.description
        if self.entry_point is not None:
            return f"runs {self.entry_point.value}"
        return f"reads {self.settings.source}"

    def row(self) -> dict[str, Any]:
        """The job as a row of a listing."""
        return {
            "name": self.name,
            "package_name": self.package_name,
            "source": self.settings.source,
            "source_system": self.settings.source_system,
            "object_type": self.settings.object_type,
            "description": self.description,
        }

    def shown_options(self) -> dict[str, Any]:
        """Its options, secrets masked."""
        return redact(self.settings.options)


def all_jobs(settings: Settings) -> list[Job]:
    """Every job, sorted by name; nothing of other packages is imported for it."""
    return sorted(_jobs(settings), key=lambda job: (job.name, job.package_name))


def find_job(name: str, settings: Settings) -> Job:
    """The job of this name, or `PACKAGE/NAME` where several packages bring one.

    Raises:
        UnknownJobError: there is none; the message has near matches.
        UsageError: the name is not unique.
        ConfigError: its table is neither a source's nor that of an installed job.
    """
    package, slash, bare = name.rpartition("/")
    found = [
        job for job in _jobs(settings) if job.name == bare and (not slash or job.package_name == package)
    ]
    if not found:
        raise _unknown(name, settings)
    if len(found) > 1:
        ways = ", ".join(f"{job.package_name}/{job.name}" for job in found)
        raise UsageError(
            f"job {bare}: several packages bring one of this name: {ways}",
            next_step=f"Run `lorchestra run {found[0].package_name}/{bare}`.",
        )
    job = found[0]
    if not is_job_name(job.name):
        raise ConfigError(
            f"package {job.package_name}: brings a job whose name cannot name a file: {JOB_NAME_RULE}",
            next_step="Ask its authors to rename it.",
        )
    if job.entry_point is None and job.settings.source is None:
        for key in difflib.get_close_matches("source", job.settings.options, n=1):
            place = settings.where("jobs", job.name, key)
            raise UnknownKeyError(f"{place}: {unknown_key(key, JobSettings.model_fields)}")
        raise MissingKeyError(
            f"{settings.where('jobs', job.name, 'source')}: needs a source, and no installed package "
            f"brings a job of this name"
        )
    return job


def job_function(job: Job, settings: Settings, *, dry: bool = False) -> JobFunction:
    """What running the job means; its options are checked here, before anything is logged.

    Raises:
        ConfigError: an option is unknown or wrong, or a source is not installed.
        UsageError: a dry run of a job that is not made of a source.
    """
    if job.settings.source is None:
        if dry:
            raise UsageError(f"job {job.name}: only jobs with a source can be run dry")
        return _loaded(job)
    kind = _source_type(job.settings.source)
    options = _validated(job, kind, settings)
    if job.settings.source_system is None:
        raise MissingKeyError(
            f"{settings.where('jobs', job.name, 'source_system')}: is missing",
            next_step='Name the account that is read, such as source_system = "tap-gmail--acct1".',
        )
    key_fn = kind.idem_key_fn(job.settings.source_system)
    own_ingest = _INGEST_FUNCTIONS.get(job.settings.source)

    def run(context: JobContext) -> JobResult:
        source = kind.open(options, _source_context(context, kind))
        if dry:
            return dry_run(context, source=source, idem_key_fn=key_fn)
        if own_ingest is not None:
            return own_ingest(context, source=source, kind=kind)
        return ingest(context, source=source, kind=kind, idem_key_fn=key_fn)

    return run


def source_comparison(job: Job, settings: Settings) -> Callable[[JobContext, datetime], Mapping[str, int]]:
    """What compares a job's source with the table; it takes the context and `before`, as `compare` does.

    Raises:
        ConfigError: the job has no source, it is not installed, or an option is unknown or wrong.
    """
    kind, options = source_and_options(job, settings)
    key_fn = kind.idem_key_fn(job.settings.source_system or "")

    def run(context: JobContext, before: datetime) -> Mapping[str, int]:
        source = kind.open(options, _source_context(context, kind))
        return compare(context, source=source, idem_key_fn=key_fn, before=before)

    return run


def _source_context(context: JobContext, kind: SourceType) -> SourceContext:
    source_system = context.source_system or ""
    return SourceContext(
        base=context.base,
        source_system=source_system,
        job_name=context.job_name,
        environment=context.environment,
        limit=context.limit,
        stored=ObjectsOfSource(
            context.store,
            source_system=source_system,
            object_type=context.object_type or kind.object_type,
        ),
        say=context.say,
    )


def source_and_options(job: Job, settings: Settings) -> tuple[SourceType, SourceOptions]:
    """The source that a job reads, and its options, checked.

    Raises:
        ConfigError: the job has no source, it is not installed, or an option is unknown or wrong.
    """
    if job.settings.source is None:
        raise MissingKeyError(f"job {job.name}: has no source")
    kind = _source_type(job.settings.source)
    return kind, _validated(job, kind, settings)


def retriable(rejects: Sequence[Reject], source: str | None) -> list[Reject]:
    """Those of the rejects of a job of this source that there is a way to."""
    if source is None:
        return []
    kind = _source_type(source)
    return [one for one in rejects if can_be_retried(one, kind)]


def job_findings(settings: Settings) -> list[Finding]:
    """What the jobs need beside the store, as far as their sources can examine it."""
    return [finding for job in all_jobs(settings) for finding in _findings(job, settings)]


def _findings(job: Job, settings: Settings) -> list[Finding]:
    if job.settings.source is None:
        return []
    try:
        kind = _source_type(job.settings.source)
        if kind.diagnose is None:
            return []
        context = SourceContext(
            base=settings.base,
            source_system=job.settings.source_system or "",
            job_name=job.name,
            environment=settings.environment,
        )
        return kind.diagnose(_validated(job, kind, settings), context)
    except LorchestraError as error:
        return [Finding(check=f"job {job.name}", ok=False, found=error.message, fix=error.next_step)]
    except Exception as error:  # noqa: BLE001 - a source of another package can raise anything
        found = f"could not be examined: {type(error).__name__}"
        return [Finding(check=f"job {job.name}", ok=None, found=found)]


def _jobs(settings: Settings) -> Iterable[Job]:
    installed = list(entry_points(group=ENTRY_POINT_GROUP))
    brought = {point.name for point in installed}
    for point in installed:
        table = settings.jobs.get(point.name)
        # A table without a source configures the installed job of its name.
        configures = table is not None and table.source is None
        yield Job(
            name=point.name,
            package_name=point.dist.name if point.dist else "unknown",
            settings=table if table is not None and configures else JobSettings(),
            entry_point=point,
        )
    for name, table in settings.jobs.items():
        if table.source is not None or name not in brought:
            yield Job(name=name, package_name=OWN_PACKAGE, settings=table)


def _loaded(job: Job) -> JobFunction:
    if job.entry_point is None:
        raise MissingKeyError(f"jobs.{job.name}: needs a source")
    try:
        function = job.entry_point.load()
    except Exception as error:  # importing runs code of the package, which can raise anything
        raise ConfigError(
            f"job {job.name}: {job.entry_point.value} of package {job.package_name} cannot be imported: "
            f"{type(error).__name__}",
            next_step=f"Install {job.package_name} again, or ask its authors.",
        ) from error
    if not callable(function):
        raise ConfigError(f"job {job.name}: {job.entry_point.value} is not callable")
    checked: Callable[[JobContext], JobResult | None] = function
    return checked


def _source_type(name: str) -> SourceType:
    try:
        return source_type(name)
    except LorchestraError:
        raise
    except Exception as error:  # importing runs code of the package, which can raise anything
        raise ConfigError(
            f"source {name}: its package cannot be imported: {type(error).__name__}",
            next_step="Install the package again, or ask its authors.",
        ) from error


def _validated(job: Job, kind: SourceType, settings: Settings) -> SourceOptions:
    try:
        return kind.options.model_validate(job.settings.options)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False)
        kind_of_error = kind_of_mistakes(error)
    lines = [_mistake(job, kind, settings, mistake) for mistake in mistakes]
    raise kind_of_error("\n".join(lines), next_step=f"Correct it, then type: lorchestra jobs show {job.name}")


def _mistake(job: Job, kind: SourceType, settings: Settings, mistake: Any) -> str:
    keys = [str(part) for part in mistake["loc"]]
    known = kind.options.model_fields
    place = settings.where("jobs", job.name, *keys[:1])
    if mistake["type"] == "extra_forbidden":
        return f"{place}: {unknown_key(keys[0], [*known, *JobSettings.model_fields])}"
    if mistake["type"] == "missing":
        return f"{place}: is missing: {known[keys[0]].description}"
    return f"{place}: {mistake['msg']}"


def _unknown(name: str, settings: Settings) -> UnknownJobError:
    names = [job.name for job in all_jobs(settings)]
    near = difflib.get_close_matches(name.rpartition("/")[2], names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    where = (
        f"{settings.path.name} or " if settings.path else f"{Path.cwd()} has no lorchestra.toml above it; "
    )
    return UnknownJobError(
        f"job {name}: there is none of this name{hint}",
        next_step=f"`lorchestra jobs list` shows those of {where}installed packages."
        if settings.path
        else "Run `lorchestra init` to make a lorchestra.toml, or go to the folder that has one.",
    )
