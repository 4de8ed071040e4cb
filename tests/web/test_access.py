"""Who is let through: whoever has the token and names this machine, however the request is made up."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from lorchestra.stack_clients.event_client import log_event
from lorchestra.stores import open_store
from lorchestra.verification import Check
from lorchestra.web.access import Access, new_token
from lorchestra.web.app import make_app
from lorchestra.web.live import Changes
from lorchestra.web.reading import Reading

TOKEN = new_token()
PORT = 8420
INSIDE = "inside"
PATHS = st.text(min_size=1, max_size=30).map(lambda text: "/" + text)


def scope_of(*, path: str, query: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """A request as a server hands it on."""
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "server": ("127.0.0.1", PORT),
        "scheme": "http",
    }


def ask(
    *,
    host: str | None = "127.0.0.1:8420",
    cookie: str | None = None,
    query: str = "",
    path: str = "/",
    listens: str = "127.0.0.1",
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of the answer to a request, straight to the application."""
    headers = [
        (name, value.encode("latin-1", "replace"))
        for name, value in ((b"host", host), (b"cookie", cookie))
        if value is not None
    ]
    scope = scope_of(path=path, query=query, headers=headers)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    guarded = Access(PlainTextResponse(INSIDE), token=TOKEN, host=listens, port=PORT)
    # Nothing in it waits, so no loop is needed; that of the browser may be in this thread.
    coroutine = guarded(scope, receive, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    start, *bodies = sent
    return (
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(one["body"] for one in bodies).decode(),
    )


COOKIE = f"lorchestra_{PORT}={TOKEN}"


def test_the_right_token_is_let_in_by_cookie_only_after_a_redirect() -> None:
    assert ask(cookie=COOKIE)[::2] == (200, INSIDE)
    status, headers, text = ask(query=f"token={TOKEN}")
    assert (status, text, headers["location"]) == (303, "", "/")
    assert headers["set-cookie"].startswith(COOKIE)
    assert {"HttpOnly", "SameSite=lax"} <= set(headers["set-cookie"].split("; "))


def test_tokens_are_new_each_time_and_long() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert min(len(new_token()) for _ in range(100)) >= 32


@given(st.text(max_size=60))
@example("")
@example(TOKEN[:-1])
@example(TOKEN + "x")
@example(TOKEN.lower())
@example("\udcff")
def test_no_other_token_is_let_in(token: str) -> None:
    """Neither in the address nor in a cookie, nor in another site's; and nothing of the page is told."""
    if token == TOKEN:
        return
    for request in (
        {"query": "token=" + quote(token, errors="surrogatepass")},
        {"cookie": f"lorchestra_{PORT}={token}"},
        {"cookie": f"lorchestra_{PORT + 1}={TOKEN}"},
        {"cookie": f"other={TOKEN}"},
    ):
        status, headers, text = ask(**request)
        assert status == 401
        assert INSIDE not in text
        assert "set-cookie" not in headers


@given(PATHS)
@example("//evil.example/")
@example("///evil.example")
@example("/\\evil.example/")
@example("/\t/evil.example")
@example("/%0d%0aX: y")
def test_a_token_never_leads_to_another_host(path: str) -> None:
    """Whatever the path looks like, the browser stays here, and the address that it goes to has no token."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return
    status, headers, _ = ask(path=path, query=f"a=1&token={TOKEN}&b=%26")
    assert status == 303
    location = headers["location"]
    # A browser takes a backslash for a slash, and drops tabs and breaks of line.
    seen = location.replace("\\", "/").translate({9: None, 10: None, 13: None})
    assert urlsplit(seen).netloc == ""
    assert not seen.startswith("//")
    assert TOKEN not in location
    assert "\n" not in location


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8420",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "evil.example:999999",
        "evil.example#localhost",
        "[",
        "[::1",
        "",
        "a b",
        "0x7f.1",
        None,
    ],
)
def test_another_host_is_refused_even_with_the_token(host: str | None) -> None:
    """A site whose name was bent to this machine reads nothing, and is given no cookie."""
    for request in ({"cookie": COOKIE}, {"query": f"token={TOKEN}"}):
        status, headers, text = ask(host=host, **request)
        assert status == 400
        assert INSIDE not in text
        assert "set-cookie" not in headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8420", "[::1]:8420", "192.168.1.2", "LOCALHOST"])
def test_names_of_this_machine_are_let_in(host: str) -> None:
    assert ask(host=host, cookie=COOKIE)[0] == 200


def test_the_name_that_is_listened_on_is_one_of_this_machine() -> None:
    assert ask(host="desk.home:8420", cookie=COOKIE, listens="desk.home")[0] == 200
    assert ask(host="desk.home:8420", cookie=COOKIE)[0] == 400


def test_a_defect_is_told_within_the_guard(tmp_path: Path) -> None:
    """What nobody foresaw is answered with its place in the code, without data, and with the same headers."""

    def broken(_: str) -> list[Check]:
        raise ValueError(TOKEN)

    store = open_store(f"duckdb:///{tmp_path / 'a.duckdb'}")
    log_event(event_type="job.started", source_system="lorchestra", correlation_id="r", bq_client=store)
    log_event(event_type="job.completed", source_system="lorchestra", correlation_id="r", bq_client=store)
    reading = Reading(store, {})
    app = make_app(reading, verify=broken, changes=Changes(reading))
    guarded = Access(app, token=TOKEN, host="127.0.0.1", port=PORT)
    scope = scope_of(
        path="/run", query="id=r", headers=[(b"host", b"127.0.0.1"), (b"cookie", COOKIE.encode())]
    )
    sent: list[Any] = []

    async def asked() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        # A server would get to know of it, and ours is silent.
        with pytest.raises(ValueError, match=TOKEN):
            await guarded(scope, receive, send)

    # The browser of other tests may have its loop in this thread.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, asked()).result()
    start, *bodies = sent
    status, text = start["status"], b"".join(one["body"] for one in bodies).decode()
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert status == 500
    assert "ValueError in test_access.py" in text
    assert TOKEN not in text
    assert headers["content-security-policy"].startswith("default-src 'none'")
