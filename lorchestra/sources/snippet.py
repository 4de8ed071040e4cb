"""The first words of a message, as the Gmail API's `snippet`."""

import html
import re
from collections.abc import Iterator

_LENGTH = 200
# Enough of a body to find the first words in; what comes later is not looked at.
_TEXT_BYTES = 4 * 1024
_HTML_BYTES = 64 * 1024
_TAG = re.compile(r"<(!--|/?[A-Za-z][A-Za-z0-9]*|[!?])")
_UNSEEN = frozenset({"style", "script", "head", "title"})

#: How many bytes of a body are worth handing to `plain_snippet` and `html_snippet`.
LOOKED_AT = _HTML_BYTES


def plain_snippet(text: str) -> str:
    """The first 200 characters, white space collapsed, escaped for HTML as the API does."""
    words = " ".join(text[:_TEXT_BYTES].split())[:_LENGTH].rstrip()
    return html.escape(words).replace("&#x27;", "&#39;")


def html_snippet(source: str) -> str:
    """The same of what an HTML text shows."""
    return plain_snippet(html.unescape("".join(_shown(source[:_HTML_BYTES])))[:_TEXT_BYTES])


def _shown(source: str) -> Iterator[str]:
    """The text outside of tags. It takes any input in one pass, which html.parser does not promise."""
    position, hidden_until = 0, ""
    while tag := _TAG.search(source, position):
        if not hidden_until:
            yield source[position : tag.start()]
            yield " "
        name = tag[1].lower()
        end = source.find("-->" if name == "!--" else ">", tag.end())
        if end < 0:
            return
        position = end + (3 if name == "!--" else 1)
        if name == hidden_until:
            hidden_until = ""
        elif not hidden_until and name in _UNSEEN:
            hidden_until = "/" + name
    if not hidden_until:
        yield source[position:]
