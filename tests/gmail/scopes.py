"""What the scopes of an access token allow."""

from collections.abc import Set as AbstractSet

from tests.emulator.wire import Answer
from tests.gmail.errors import forbidden, insufficient_scope

_PREFIX = "https://www.googleapis.com/auth/gmail."
_METADATA = f"{_PREFIX}metadata"
_WRITES = frozenset({"https://mail.google.com/", f"{_PREFIX}modify"})
_READS = _WRITES | {f"{_PREFIX}readonly"}


def scope_error(scopes: AbstractSet[str], method: str, query: dict[str, list[str]]) -> Answer | None:
    """Google's refusal of this call, None when the scopes allow it. The metadata scope shows no bodies."""
    if scopes & (_WRITES if method == "write" else _READS):
        return None
    if _METADATA not in scopes or method in {"write", "messages.attachments.get"}:
        return insufficient_scope(method)
    if method == "messages.list" and query.get("q"):
        return forbidden("Metadata scope does not support 'q' parameter")
    shown = query.get("format", ["full"])[0].upper()
    if method == "messages.get" and shown not in {"METADATA", "MINIMAL"}:
        return forbidden(f"Metadata scope doesn't allow format {shown}")
    return None
