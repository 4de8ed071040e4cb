"""The short way to a parsed message ends where the email package's own parser does."""

import email
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.sources import mime
from lorchestra.sources.mbox_reader import read_mbox
from lorchestra.sources.mime import body_of, parse_head, parse_message, transfer_decoded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

MAIL = Path(__file__).resolve().parents[2] / "examples" / "mail"
LINE = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.lists(
    st.sampled_from(
        [
            b"words",
            b"--",
            b"--a",
            b"--b--",
            b"--ab",
            b"",
            b" ",
            b"\t",
            b"=41=",
            b"YWJj",
            b"\xff",
            b"From x",
            b"x: y",
        ]
    ),
    max_size=6,
)
HEADER = st.sampled_from(
    [
        b"Subject: a",
        b"Subject: a\n b",
        b"Subject:\n\tb",
        b"Subject :a",
        b"X-8bit: \xe9",
        b":",
        b"no header",
        b" continued",
        b"From someone",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Type: text/html; charset=utf-8",
        b"Content-Type: message/rfc822",
        b"Content-Type: message/delivery-status",
        b"Content-Type: nonsense",
    ]
)
EDIT = st.tuples(
    st.floats(0, 1),
    st.integers(0, 30),
    st.sampled_from(
        [b"", b"\n", b"\n\n", b"\r", b"--", b"--a", b"\n--a\n", b"\n--a--\n", b": ", b"\0", b"\x0b", b"\xff"]
    ),
)


def seen(message: "Message[str, str]") -> Any:
    """All that is used of a message."""
    return (
        list(message.raw_items()),
        message.get_content_type(),
        message.get_filename(),
        message.is_multipart(),
        [seen(part) for part in mime.subparts(message)] or transfer_decoded(message),
    )


def leaves_of(message: Any) -> "Iterator[Any]":
    parts = mime.subparts(message)
    for part in parts:
        yield from leaves_of(part)
    if not parts:
        yield message


def check(content: bytes) -> None:
    message, expected = parse_message(content, parse_head(content)), email.message_from_bytes(content)
    assert seen(message) == seen(expected)
    for ours, theirs in zip(leaves_of(message), leaves_of(expected), strict=True):
        assert ours.get_content_charset() == theirs.get_content_charset()
        body, data = body_of(ours), transfer_decoded(theirs)
        assert (body.size, body.base64url()) == (len(data), urlsafe_b64encode(data).decode())


def assembled(
    headers: list[bytes], parts: list[bytes] | None, body: bytes, boundary: bytes, line: bytes
) -> bytes:
    if parts is not None:
        headers = [*headers, b'Content-Type: multipart/mixed; boundary="' + boundary + b'"']
        around = [b"--" + boundary + line + part + line for part in parts]
        body = body + line + b"".join(around) + b"--" + boundary + b"--" + line + body
    return line.join(one.replace(b"\n", line) for one in headers) + line + line + body


bodies = st.builds(lambda lines, end: end.join(lines), TEXT, LINE)
leaves = st.builds(assembled, st.lists(HEADER, max_size=3), st.none(), bodies, st.just(b""), LINE)
messages = st.recursive(
    leaves,
    lambda inner: st.builds(
        assembled,
        st.lists(HEADER, max_size=2),
        st.lists(inner, max_size=3),
        bodies,
        st.sampled_from([b"a", b"b", b"ab"]),
        LINE,
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(content=messages, edits=st.lists(EDIT, max_size=3))
def test_of_whatever_is_made_of_parts(content: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    """Nested, with boundaries that begin alike, with lines that are none, and damaged."""
    for where, length, put in edits:
        at = int(where * len(content))
        content = content[:at] + put + content[at + length :]
    check(content)


PARAMETER = st.builds(
    lambda around, name, equals, value: f"{around};{around}{name}{equals}{value}",
    st.sampled_from(["", " ", "\n\t", "\x0b", '"']),
    st.sampled_from(["charset", "Charset", "boundary", "name", "name*", "filename", "filename*0", "", "a b"]),
    st.sampled_from(["=", " = ", ""]),
    st.sampled_from(
        [
            "b",
            '"b"',
            '"b "',
            '"a b.pdf"',
            "a b",
            "<b>",
            '"<b>"',
            "''",
            "UTF-8''%C3%A9",
            '"a;b"',
            '"a\\"b"',
            '"',
            "",
            '""',
            "utf-8",
            "é",
            "a=b",
            "\\b",
            "=?utf-8?Q?=C3=A9?=",
        ]
    ),
)
PARAMETERS = st.builds(
    lambda kind, rest, end: kind + "".join(rest) + end,
    st.sampled_from(
        [
            "text/plain",
            "Text/HTML",
            "multipart/mixed",
            "message/rfc822",
            "text",
            "a/b/c",
            "",
            "attachment",
            "é/b",
            "attachment ",
            "multipart/digest",
            "name=b",
            '"text/plain"',
            "text/ plain",
        ]
    ),
    st.lists(PARAMETER, max_size=3),
    st.sampled_from(["", ";", " ", "; ", ";;", " x"]),
)


@settings(deadline=None, max_examples=300)
@given(kind=PARAMETERS, disposition=st.none() | PARAMETERS, line=LINE)
def test_of_whatever_stands_in_its_parameters(kind: str, disposition: str | None, line: bytes) -> None:
    """Quoted or not, encoded, named twice, and what is no parameter at all."""
    headers = [b"Content-Type: " + kind.encode()]
    headers += [b"Content-Disposition: " + disposition.encode()] if disposition is not None else []
    check(assembled(headers, None, line.join([b"--b", b"", b"text", b"--b--", b""]), b"", line))


@pytest.mark.parametrize("name", ["takeout.mbox"])
def test_of_real_mail(name: str) -> None:
    """Every message, and every beginning of some of them."""
    with (MAIL / name).open("rb") as stream:
        found = [stored.content for stored, _ in read_mbox(stream, name=name, quoting="mboxrd")]
    for content in found:
        check(content)
    for content in [one for one in found if len(one) < 4000][:5]:
        for end in range(0, len(content), 7):
            check(content[:end])


def test_the_short_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message with parts in parts, one of them a message, needs no help."""

    def refuse(_: bytes) -> None:
        pytest.fail("it was left to the email package")

    monkeypatch.setattr(mime, "_parse_all", refuse)
    inner = assembled(
        [b"Subject: inner"], [b"\nplain", b"Content-Type: text/html\n\nhtml"], b"", b"in", b"\n"
    )
    forwarded = b"Content-Type: message/rfc822\n\n" + inner
    check(assembled([b"Subject: outer"], [inner, forwarded, b"\nlast"], b"before and after", b"out", b"\n"))
