"""Masking of secrets in what a run says about itself: event payloads, messages, `repr`.

Masking errs on the side of too much: a hidden harmless value costs a look at the configuration, a shown
secret costs a rotation. It is no licence to log data; it catches what people put into parameters.
"""

import math
import re
from collections.abc import Mapping
from datetime import date, time
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote

MASK = "***"

# Found anywhere in a key once case and separators are gone: long enough not to occur by chance.
_SECRET_PARTS = re.compile(
    "token|secret|password|passwd|passphrase|passcode|credential|authorization|cookie|bearer"
    "|(?:api|private|access|signing|encryption|account|ssh|shared|service)key"
)
# Too short for that: only as a word of the key.
_SECRET_WORDS = frozenset({"auth", "dsn", "jwt", "pass", "pwd", "signature", "sig"})
# `key = "…"` alone is how many services call an API key; `idem_key` and `primary_key` are none.
_SECRET_KEYS = frozenset({"key"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# User information up to the host; the second form is a password with an unescaped `/`, `?` or `#` in it.
_USER_INFO = re.compile(r"://(?:[^/?#\s]*@|[^/?#\s@]*:(?!\d+[/?#])\S*@)")
# The lookbehind keeps the search linear in the length of the text.
_ASSIGNMENT = re.compile(r"""(?<![\w.%-])([\w.%-]+)=("[^"]*"[^&\s]*|'[^']*'[^&\s]*|[^&\s]+)""")
# A mail address: a path or an account name may hold one.
_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1


def redact(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy that can be shown and always be written as JSON.

    The value of a key that names a secret becomes `***`, whatever it holds (None stays None: "not set" is no
    secret). In every other string, the user information of URLs, `name=value` pairs whose name names a
    secret, and mail addresses are masked. Dates become ISO 8601, paths strings, tuples lists. A value of any
    other type becomes the name of its type in angle brackets: its `str` may tell anything.
    """
    return {
        redact_text(str(key)): MASK if value is not None and names_a_secret(str(key)) else _redacted(value)
        for key, value in parameters.items()
    }


def redact_text(text: str) -> str:
    """The text with credentials in URLs, secret `name=value` pairs and mail addresses masked."""
    if "://" in text and "@" in text:
        text = _USER_INFO.sub(f"://{MASK}@", text)
    if "=" in text:
        text = _ASSIGNMENT.sub(_masked_assignment, text)
    if "@" in text:
        text = _ADDRESS.sub(MASK, text)
    # Undecodable bytes of a command line arrive as lone surrogates, which JSON cannot carry.
    return text.encode(errors="backslashreplace").decode()


def names_a_secret(key: str) -> bool:
    """Whether a key's name says that its value is secret; `apiKey`, `API-KEY` and `api_key` are the same."""
    compact = re.sub(r"[^a-z0-9]", "", key.lower())
    if compact in _SECRET_KEYS or compact in _SECRET_WORDS or _SECRET_PARTS.search(compact):
        return True
    return any(word.lower() in _SECRET_WORDS for word in _WORD.findall(key))


def _masked_assignment(match: re.Match[str]) -> str:
    name = match[1]
    return f"{name}={MASK}" if names_a_secret(unquote(name)) else match[0]


def _redacted(value: Any) -> Any:  # noqa: PLR0911 - one return for each kind of value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | PurePath):
        return redact_text(str(value))
    if isinstance(value, int):
        return int(value) if _INT_MIN <= value <= _INT_MAX else f"<{type(value).__name__}>"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return f"<{type(value).__name__}>"
