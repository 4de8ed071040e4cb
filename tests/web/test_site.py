"""Who may see the page over the wire, what it answers, and how it starts and ends."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser

from tests.project import new_project
from tests.web.conftest import all_paths
from tests.web.site import Site, start, stop

PROTECTION = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def every_path(site: Site) -> list[str]:
    return [*all_paths(site.project), "/static/page.css", "/static/page.js", "/static/icon.svg", "/live"]


def test_nothing_is_shown_without_the_token(site: Site) -> None:
    """Neither a page, nor a style, nor that something changed, nor whether there is a page."""
    for path in every_path(site):
        mark = "&" if "?" in path else "?"
        for asked in (path, f"{path}{mark}token=wrong", f"{path}{mark}token="):
            answer = site.ask(asked, headers={})
            assert (answer.status, len(answer.body) < 100) == (401, True), asked
            assert "set-cookie" not in answer.headers
        assert site.ask(path, headers={"Cookie": f"lorchestra_{site.port}=wrong"}).status == 401


def test_another_host_is_refused_with_the_right_token(site: Site) -> None:
    for path in every_path(site):
        answer = site.ask(path, headers={**site.cookie, "Host": "evil.example"})
        assert (answer.status, len(answer.body) < 100) == (400, True), path
    # Also one that is no name, which the browser never sends.
    assert site.ask("/", headers={**site.cookie, "Host": "["}).status == 400
    assert site.ask("/", headers={**site.cookie, "Host": f"localhost:{site.port}"}).status == 200


def test_only_reading_is_answered(site: Site) -> None:
    for path in ("/", "/runs", "/object?key=x", "/static/page.css", "/live"):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert site.ask(path, method=method).status == 405, (method, path)
    head = site.ask("/runs", method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_every_answer_forbids_what_no_page_needs(site: Site) -> None:
    """Scripts and styles of others, frames, guessing types, telling of the address, and keeping copies."""
    asked = [
        *(site.ask(path) for path in every_path(site)),
        site.ask("/", headers={}),
        site.ask("/", headers={"Host": "evil.example"}),
        site.ask("/?token=" + site.token, headers={}),
        site.ask("/", method="POST"),
        site.ask("/static/../app.py"),
    ]
    for answer in asked:
        assert answer.headers.items() >= PROTECTION.items()
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "server" not in answer.headers


def test_static_files_are_those_of_the_page_alone(site: Site) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert site.ask(path).status == 404, path


def test_the_token_leads_to_the_address_without_it(site: Site, browser: Browser) -> None:
    """The browser keeps it where no script reads it, and its history has no token."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site.base}/runs?state=failed&token={site.token}")

        assert page.url == f"{site.base}/runs?state=failed"
        [cookie] = context.cookies()
        assert (cookie["value"], cookie["httpOnly"], cookie["sameSite"]) == (site.token, True, "Lax")
        assert page.evaluate("document.cookie") == ""
        page.goto(f"{site.base}//evil.example/?token={site.token}")
        assert page.url == f"{site.base}/evil.example/"


def test_the_browser_speaks_to_nobody_else(site: Site, browser: Browser) -> None:
    """On no page, whatever stands on it; and nothing is refused or goes wrong."""
    asked: list[str] = []
    said: list[str] = []
    with site.visitor(browser) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        for path in all_paths(site.project):
            page.goto(path)
    assert {urlsplit(url).netloc for url in asked} == {f"127.0.0.1:{site.port}"}
    assert {urlsplit(url).path for url in asked} >= {"/static/page.css", "/static/page.js", "/live"}
    # Of a page that is not there the browser says so itself.
    assert [text for text in said if "404 (Not Found)" not in text] == []


def test_this_machine_alone_is_listened_to(site: Site) -> None:
    listening = [
        one.laddr
        for one in psutil.Process(site.process.pid).net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert [(one.ip, one.port) for one in listening] == [("127.0.0.1", site.port)]


def test_a_port_that_is_taken_is_told(site: Site) -> None:
    outcome = site.project.lorchestra("web", "--port", str(site.port), code=2)

    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: --port: ")
    assert "lorchestra web --port 0" in outcome.stderr
    assert site.token not in outcome.words


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_is_not_here_is_told(site: Site, host: str) -> None:
    """By the option that names it, with the command that works."""
    outcome = site.project.lorchestra("web", "--host", host, "--port", "0", code=2)

    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: --host: ")
    assert "lorchestra web" in outcome.stderr


def test_ctrl_c_ends_it_while_browsers_listen(tmp_path: Path, browser: Browser) -> None:
    """Without a word more than that it was interrupted; it waits for no browser to go."""
    site = start(new_project(tmp_path))
    with site.visitor(browser) as context, socket.create_connection(("127.0.0.1", site.port)) as listener:
        page = context.new_page()
        page.goto("/")
        page.get_by_text("● live").wait_for()
        cookie = site.cookie["Cookie"]
        listener.sendall(f"GET /live HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        assert listener.recv(15) == b"HTTP/1.1 200 OK"

        assert stop(site) == (130, "Interrupted.\n")
        with listener.makefile("rb") as stream:
            # It was ended and not cut off, as whoever is there two seconds later is.
            assert stream.read().endswith(b"\r\n0\r\n\r\n")
        page.get_by_text("not connected").wait_for()


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    assert "--port" in new_project(tmp_path).lorchestra("web", "--port", port, code=2).stderr
