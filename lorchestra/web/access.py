"""Who may see the page: whoever has the token, under a name of this machine, and nobody else.

The token comes once in the URL, `?token=…`, and from then on in a cookie, so that no address that is copied
has it. The check of the Host header keeps other sites from reading the page through the browser (DNS
rebinding); the policy of content keeps whatever stands in a field from being more than text.
"""

import secrets
from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_BYTES = 24
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Access:
    """Lets requests through that bear the token and name this machine as their host.

    `host` is the address that is listened on: its name counts as one of this machine, as every address does
    that is no name.
    """

    def __init__(self, app: ASGIApp, *, token: str, host: str, port: int) -> None:
        self._app = app
        self._token = token
        self._names = {"localhost", host}
        # Cookies know no ports: two pages on one machine must not take each other's.
        self._cookie = f"lorchestra_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._answer(Request(scope))
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        if not self._is_ours(_name(request.headers.get("host", ""))):
            return PlainTextResponse("This page is served to this machine only.\n", status_code=400)
        given = request.query_params.get("token")
        if given is not None and self._is_token(given):
            return self._with_cookie(request)
        if self._is_token(request.cookies.get(self._cookie, "")):
            return None
        return PlainTextResponse(
            "The token is missing or wrong: open the URL that `lorchestra web` printed.\n", status_code=401
        )

    def _is_ours(self, name: str | None) -> bool:
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _with_cookie(self, request: Request) -> Response:
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        url = request.url.path + (f"?{urlencode(rest)}" if rest else "")
        # A path that begins with two slashes would be another host.
        answer = RedirectResponse("/" + url.lstrip("/"), status_code=303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax", path="/")
        return answer


def _name(host: str) -> str | None:
    # Not `request.url`, which has our own address where the header is no good.
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return sent
