"""Errors as Google words them: those of its APIs, and those of its token endpoint."""

from tests.emulator.wire import Answer, Json, json_answer

_NO_CREDENTIALS = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
    "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def google_error(
    code: int,
    message: str,
    *,
    reason: str,
    status: str,
    domain: str = "global",
    headers: dict[str, str] | None = None,
    detail: Json | None = None,
    entry: Json | None = None,
) -> Answer:
    """An API's error; `entry` goes into its one entry in `errors`, `detail` is its ErrorInfo."""
    only = {"message": message, "domain": domain, "reason": reason} | (entry or {})
    error: Json = {"code": code, "message": message, "errors": [only], "status": status}
    if detail is not None:
        error["details"] = [{"@type": _ERROR_INFO} | detail]
    return json_answer(code, {"error": error}, headers)


def invalid_credentials() -> Answer:
    """The access token is missing, unknown or expired."""
    return google_error(
        401,
        _NO_CREDENTIALS,
        reason="authError",
        status="UNAUTHENTICATED",
        entry={"message": "Invalid Credentials", "location": "Authorization", "locationType": "header"},
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
    )


def insufficient_scope(method: str) -> Answer:
    """The access token does not allow this call."""
    return google_error(
        403,
        "Request had insufficient authentication scopes.",
        reason="insufficientPermissions",
        status="PERMISSION_DENIED",
        detail={
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": {"method": method, "service": "gmail.googleapis.com"},
        },
    )


def forbidden(message: str) -> Answer:
    return google_error(403, message, reason="forbidden", status="PERMISSION_DENIED")


def bad_request(message: str) -> Answer:
    return google_error(400, message, reason="invalidArgument", status="INVALID_ARGUMENT")


def not_found() -> Answer:
    return google_error(404, "Requested entity was not found.", reason="notFound", status="NOT_FOUND")


def login_error(status: int, error: str, description: str) -> Answer:
    """An error of the token endpoint."""
    return json_answer(status, {"error": error, "error_description": description})
