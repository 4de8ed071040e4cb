"""`lorchestra web` as a process of its own, asked without and with a browser."""

import http.client
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from playwright.sync_api import Browser, BrowserContext

from tests.project import Project

if TYPE_CHECKING:
    import subprocess


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running `lorchestra web`."""

    project: Project
    process: "subprocess.Popen[str]"
    #: What it printed: with the token.
    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return self.url.partition("?token=")[2]

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"lorchestra_{self.port}={self.token}"}

    def ask(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """One request as it is given; without `headers`, by whoever has the cookie."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=headers is not None and "Host" in headers)
            for name, value in (self.cookie if headers is None else headers).items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            # The stream of changes has no end.
            is_stream = answer.getheader("Content-Type", "").startswith("text/event-stream")
            return Answer(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=b"" if is_stream else answer.read(),
            )
        finally:
            connection.close()

    def visitor(self, browser: Browser, **options: object) -> BrowserContext:
        """A browser that has the cookie, and nothing of others'."""
        context = browser.new_context(base_url=self.base, **options)  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        name, _, value = self.cookie["Cookie"].partition("=")
        context.add_cookies([{"name": name, "value": value, "url": self.base}])
        return context


def start(project: Project, *arguments: str) -> Site:
    """Start it, and wait for the URL."""
    process = project.start("web", "--port", "0", *arguments)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), process.communicate(timeout=30)
    return Site(project=project, process=process, url=url)


def stop(site: Site) -> tuple[int, str]:
    """Ctrl-C: its exit code and all that it said after the URL."""
    site.process.send_signal(signal.SIGINT)
    stdout, stderr = site.process.communicate(timeout=30)
    return site.process.returncode, stdout + stderr


@contextmanager
def serving(project: Project) -> Iterator[Site]:
    """A site until the end of the block. It says nothing but its URL, whatever it is asked."""
    site = start(project)
    try:
        yield site
    finally:
        code, said = stop(site)
    assert (code, said) == (130, "Interrupted.\n"), (code, said)


def run_path(run_id: str) -> str:
    return "/run?id=" + quote(run_id, safe="")


def job_path(name: str) -> str:
    return "/job?name=" + quote(name, safe="")


def object_path(key: str) -> str:
    return "/object?key=" + quote(key, safe="")


def source_path(system: str, object_type: str) -> str:
    return f"/source?system={quote(system, safe='')}&type={quote(object_type, safe='')}"
