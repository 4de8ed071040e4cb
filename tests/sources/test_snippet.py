"""A snippet is found in as little of a text as it takes."""

import html
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.sources.mail_text import decode_text, decoded_beginning
from lorchestra.sources.snippet import html_snippet, plain_snippet
from lorchestra.sources.transfer_encoding import Body

KIB = 1024
TAG = re.compile(r"<(!--|/?[A-Za-z][A-Za-z0-9]*|[!?])")


def shown(source: str) -> str:
    """All that a text in HTML shows."""
    out, position, hidden_until = "", 0, ""
    while tag := TAG.search(source, position):
        if not hidden_until:
            out += source[position : tag.start()] + " "
        name = tag[1].lower()
        end = source.find("-->" if name == "!--" else ">", tag.end())
        if end < 0:
            return out
        position = end + (3 if name == "!--" else 1)
        if name == hidden_until:
            hidden_until = ""
        elif not hidden_until and name in {"style", "script", "head", "title"}:
            hidden_until = f"/{name}"
    return out if hidden_until else out + source[position:]


def snippet_of(text: str) -> str:
    words = " ".join(text[: 4 * KIB].split())[:200].rstrip()
    return html.escape(words).replace("&#x27;", "&#39;")


LONG = ["x" * 190, " " * 3000, "x" * 5000, "<td> </td>" * 400, "<!-- " + "y" * 8180 + "-->", "é" * 3000]
SHORT = [
    "word ",
    "<b>",
    "</b>",
    "<",
    ">",
    "&amp;",
    "&#x41",
    "&",
    "é",
    "ÿ",
    "'",
    "\n",
    "<style>",
    "</style>",
    "<!--",
    "-->",
    "<head",
    "<p title='>'>",
    "\x00",
]
pieces = st.sampled_from([*SHORT, *LONG, "word <i>" * 60])
texts = st.lists(pieces, max_size=12).map("".join)
charsets = st.sampled_from(
    [None, "utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "utf-7", "x-no"]
)
codecs = st.sampled_from(["utf-8", "latin-1", "utf-16"])


@settings(deadline=None, max_examples=300)
@given(text=texts, charset=charsets, codec=codecs)
def test_a_snippet_is_that_of_the_whole_beginning(text: str, charset: str | None, codec: str) -> None:
    data = text.encode(codec, "replace")
    read = decode_text(data[: 64 * KIB], charset)
    assert plain_snippet(Body(data), charset) == snippet_of(read)
    assert html_snippet(Body(data), charset) == snippet_of(html.unescape(shown(read[: 64 * KIB])))


@settings(deadline=None, max_examples=300)
@given(data=st.binary(max_size=40) | texts.map(str.encode), charset=charsets, size=st.integers(0, 50))
def test_the_beginning_of_a_text_is_what_it_begins_with(data: bytes, charset: str | None, size: int) -> None:
    for characters in (0, 1, 7, size):
        beginning = decoded_beginning(lambda most: data[:most], charset, size=size, characters=characters)
        assert beginning == decode_text(data[:size], charset)[:characters]
