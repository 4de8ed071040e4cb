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
    "token(?!i[sz])|secret|password|passwd|passphrase|passcode|passkey|credential|authorization|cookie|bearer"
    "|webhook|conn(?:ection)?str|serviceaccount(?:json|info)|sessionid|pincode"
    "|(?:access|account|api|app|auth|deploy|encryption|function|licen[cs]e|master|private|service|session"
    "|shared|signing|ssh|storage)key"
)
# Too short for that: only as a word of the key.
_SECRET_WORDS = frozenset(
    {"auth", "dsn", "jwt", "otp", "pass", "pat", "pin", "psk", "pwd", "sas", "sig", "signature", "totp"}
)
# `key = "…"` alone is how many services call an API key; `idem_key` and `primary_key` are none.
_SECRET_KEYS = frozenset({"key"})
# What services give out is known by its look, whatever it is called.
_SECRET_VALUES = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|.*)"
    r"|\bBearer\s+[\w.~+/=-]{8,}"
    r"|(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/[^\s\"']+"
    r"|(?<![A-Za-z0-9])(?:"
    r"eyJ[\w-]{8,}\.[\w.-]+"  # a JSON Web Token
    r"|gh[opsur]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|[rs]k_(?:live|test)_\w{8,}|whsec_[\w+/=]{16,}"  # Stripe
    r"|ya29\.[\w.-]+|1//[\w-]{16,}|4/0[\w-]{16,}|AIza[\w-]{30,}|GOCSPX-[\w-]{16,}"  # Google
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}"  # Slack
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
    r"|sk-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r")",
    re.DOTALL,
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# User information up to the host; the second form is a password with an unescaped `/`, `?` or `#` in it.
_USER_INFO = re.compile(r"://(?:[^/?#\s]*@|[^/?#\s@]*:(?!\d+[/?#])\S*@)")
# The lookbehind keeps the search linear in the length of the text.
_NAME = re.compile(r"(?<![\w.%-])([\w.%-]+)=")
_VALUE = re.compile(r""""[^"]*"[^&\s]*|'[^']*'[^&\s]*|[^&\s]+""")
# A member of a JSON object, or of a Python one that was printed.
_MEMBER = re.compile(r"""(["'])([\w.-]+)\1(\s*:\s*)(["'])(?:\\.|(?!\4)[^\\])*\4?""", re.DOTALL)
# A mail address: a path or an account name may hold one.
_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1


def redact(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy that can be shown and always be written as JSON.

    The value of a key that names a secret becomes `***`, whatever it holds (None stays None: "not set" is no
    secret). Every other string is masked as `redact_text` does it. Dates become ISO 8601, paths strings,
    tuples lists. A value of any other type becomes the name of its type in angle brackets: its `str` may tell
    anything.
    """
    return {
        redact_text(str(key)): MASK if value is not None and names_a_secret(str(key)) else _redacted(value)
        for key, value in parameters.items()
    }


def redact_text(text: str) -> str:
    """The text without credentials in URLs, values of secret names, mail addresses, and tokens known by look.

    Values of secret names are those of `name=value` and of `"name": "value"`.
    """
    if ":" in text:
        text = _MEMBER.sub(_masked_member, text)
    text = _SECRET_VALUES.sub(MASK, text)
    if "://" in text and "@" in text:
        text = _USER_INFO.sub(f"://{MASK}@", text)
    if "=" in text:
        text = _without_secret_pairs(text)
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


def _without_secret_pairs(text: str) -> str:
    """Values of secret names masked; that of another name may hold pairs itself, as `a=b;password=c` does."""
    pieces, done = [], 0
    while (name := _NAME.search(text, done)) is not None:
        pieces.append(text[done : name.end()])
        done = name.end()
        if names_a_secret(unquote(name[1])) and (value := _VALUE.match(text, done)) is not None:
            pieces.append(MASK)
            done = value.end()
    return "".join([*pieces, text[done:]])


def _masked_member(match: re.Match[str]) -> str:
    quote, name, colon, value_quote = match.groups()
    if not names_a_secret(name):
        return match[0]
    return f"{quote}{name}{quote}{colon}{value_quote}{MASK}{value_quote}"


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
