"""The first words of a message, as the Gmail API's `snippet`."""

import html
import re
from collections.abc import Iterator

from lorchestra.sources.mail_text import decoded_beginning
from lorchestra.sources.transfer_encoding import Body

_LENGTH = 200
# Enough of a body to find the first words in; what comes later is not looked at.
_TEXT_CHARACTERS = 4 * 1024
_MOST_OFTEN_ENOUGH = 400
_HTML_CHARACTERS = 64 * 1024
_BYTES = 64 * 1024
# Where the first words of most HTML texts are.
_HTML_AT_FIRST = 8 * 1024
_TAG = re.compile(r"<(!--|/?[A-Za-z][A-Za-z0-9]*|[!?])")
_UNSEEN = frozenset({"style", "script", "head", "title"})


def plain_snippet(body: Body, charset: str | None) -> str:
    """The first 200 characters, white space collapsed, escaped for HTML as the API does."""
    return _escaped(_words(_beginning(body, charset, _TEXT_CHARACTERS)))


def html_snippet(body: Body, charset: str | None) -> str:
    """The same of what an HTML text shows."""
    source = _beginning(body, charset, _HTML_AT_FIRST)
    words = _shown_words(source, is_cut=True)
    if len(words) < _LENGTH:
        source = _beginning(body, charset, _HTML_CHARACTERS)
        words = _shown_words(source, is_cut=False)
    return _escaped(words)


def _beginning(body: Body, charset: str | None, characters: int) -> str:
    return decoded_beginning(body.beginning, charset, size=_BYTES, characters=characters)


def _shown_words(source: str, *, is_cut: bool) -> str:
    return _words(html.unescape("".join(_shown(source, is_cut=is_cut)))[:_TEXT_CHARACTERS])


def _words(text: str) -> str:
    beginning = " ".join(text[:_MOST_OFTEN_ENOUGH].split())
    return (beginning if len(beginning) >= _LENGTH else " ".join(text.split()))[:_LENGTH]


def _escaped(words: str) -> str:
    return html.escape(words.rstrip()).replace("&#x27;", "&#39;")


def _shown(source: str, *, is_cut: bool) -> Iterator[str]:
    """The text outside of tags, of a source that is cut as far as the rest of it cannot change it.

    It takes any input in one pass, which html.parser does not promise.
    """
    position, hidden_until = 0, ""
    while tag := _TAG.search(source, position):
        name = tag[1].lower()
        end = source.find("-->" if name == "!--" else ">", tag.end())
        if end < 0 and is_cut:
            return
        if not hidden_until:
            yield source[position : tag.start()]
            yield " "
        if end < 0:
            return
        position = end + (3 if name == "!--" else 1)
        if name == hidden_until:
            hidden_until = ""
        elif not hidden_until and name in _UNSEEN:
            hidden_until = "/" + name
    if not hidden_until and not is_cut:
        yield source[position:]
