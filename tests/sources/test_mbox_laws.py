"""An mbox file gives back the messages that were written into it: each once, byte for byte."""

import hashlib
import io
import mailbox
import re
import tempfile
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.errors import SourceUnreadableError
from lorchestra.model import Record, Window
from lorchestra.sources.base import SourceContext
from lorchestra.sources.mbox import MBOX
from lorchestra.sources.mbox_reader import read_mbox

Messages = Callable[..., list[dict[str, Any]]]
FROM = b"From a@example.com Thu Aug 22 12:36:23 2002"


def as_mboxrd(messages: Iterable[bytes], line_end: bytes = b"\n") -> bytes:
    return b"".join(
        FROM + line_end + re.sub(rb"(?m)^(>*From )", rb">\1", message) + line_end for message in messages
    )


def raw(resource: dict[str, Any]) -> bytes:
    return urlsafe_b64decode(resource["raw"])


lines = st.lists(
    st.one_of(
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
        st.sampled_from(
            [
                b"",
                b"\r",
                FROM,
                b">" + FROM,
                b">>From here",
                b"From here on",
                b"Subject: x",
                b"\xff\xfe\0",
                b"From",
                b">" * 9,
            ]
        ),
    ),
    max_size=12,
)
bodies = lines.map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(st.lists(bodies, max_size=8))
@settings(deadline=None, max_examples=200)
def test_what_is_written_as_mboxrd_is_read_back(written: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.mbox").write_bytes(as_mboxrd(written))
        source = MBOX.open(MBOX.options(path="x.mbox", format="raw"), SourceContext(base=Path(folder)))
        records = [item for item in source.records(Window(), None) if isinstance(item, Record)]
    assert [raw(record.data) for record in records] == written
    assert [record.data["id"] for record in records] == [hashlib.sha256(m).hexdigest() for m in written]


class ShortReads(io.BytesIO):
    """A stream that gives as little at a time as a pipe may."""

    def __init__(self, content: bytes, length: int) -> None:
        super().__init__(content)
        self._length = length

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002
        return super().read(self._length)


@given(st.lists(bodies, min_size=1, max_size=5), st.integers(3, 90), st.booleans())
@settings(deadline=None)
def test_where_a_chunk_ends_does_not_matter(written: list[bytes], length: int, quoted: bool) -> None:
    content = as_mboxrd(written) if quoted else b"".join(FROM + b"\n" + body for body in written)
    whole = list(read_mbox(io.BytesIO(content), name="x", quoting="mboxrd"))
    assert list(read_mbox(ShortReads(content, length), name="x", quoting="mboxrd")) == whole


def test_the_sample_is_what_the_standard_library_reads(sample: Path) -> None:
    source = MBOX.open(
        MBOX.options(path=sample.name, format="raw", quoting="none"), SourceContext(base=sample.parent)
    )
    records = [item for item in source.records(Window(), None) if isinstance(item, Record)]
    box = mailbox.mbox(sample)
    assert [raw(record.data) for record in records] == [box.get_bytes(key) for key in box.iterkeys()]
    box.close()


def test_crlf_stays_crlf(messages: Messages) -> None:
    written = [
        b"Subject: 1\r\n\r\none\r\n",
        b"Subject: 2\r\n\r\nFrom x\r\n\r\n\r\n",
        b"",
        b"Subject: 4\r\n\r\nfour\r\n",
    ]
    assert [raw(m) for m in messages(as_mboxrd(written, b"\r\n"), format="raw")] == written


@pytest.mark.parametrize(
    ("quoting", "expected"),
    [
        ("mboxrd", b"S: x\n\nFrom a\n>From b\nx >From c\n"),
        ("mboxo", b"S: x\n\nFrom a\n>>From b\nx >From c\n"),
        ("none", b"S: x\n\n>From a\n>>From b\nx >From c\n"),
    ],
)
def test_quoting_is_undone_as_it_was_done(messages: Messages, quoting: str, expected: bytes) -> None:
    [message] = messages(FROM + b"\nS: x\n\n>From a\n>>From b\nx >From c\n\n", format="raw", quoting=quoting)
    assert raw(message) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"From a@example.com Thu Aug 22 12:36:23 2002",
        b"From a@example.com  Thu Aug  2 12:36:23 2002",
        b"From a@example.com Thu Aug 22 12:36 2002",
        b"From a@example.com Thu Aug 22 12:36:23 MEST 2002",
        b"From a@example.com Thu Aug 22 12:36:23 2002 +0200",
        b"From 1404382503986739328@xxx Thu Aug 29 13:51:12 +0000 2002",
        b"From - Thu Aug 22 12:36:23 2002",
        b"From user at example.com  Thu Aug 22 12:36:23 2002",
        b"From Some Body Thu Aug 22 12:36:23 2002",
        b"From a@example.com Thu, 22 Aug 2002 12:36:23 +0200",
        b"From uucp!host Thu Aug 22 12:36:23 2002 remote from host",
        b"From MAILER-DAEMON",
        b"From a@example.com 2002-08-22 12:36:23",
        b"From \xe9\xff Thu Aug 22 12:36:23 2002",
    ],
)
def test_many_programs_write_many_separators(messages: Messages, line: bytes) -> None:
    content = b"".join(line + b"\nSubject: %d\n\nbody\n\n" % number for number in range(3))
    assert len(messages(content)) == 3


@pytest.mark.parametrize("line", [FROM, b"From a@example.com Thu Aug 22 12:36:23 2002 +0200"])
def test_a_separator_without_an_empty_line_needs_a_header_after_it(messages: Messages, line: bytes) -> None:
    assert len(messages(FROM + b"\nS: 1\n\nbody\n" + line + b"\nS: 2\n\nbody\n")) == 2
    assert len(messages(FROM + b"\nS: 1\n\nbody\n" + line + b"\nno header\n")) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        b"From here on we go alone.\n",
        b"From here on we go alone.\nNote: it rains.\n",
        b"From 2002 on nothing was as before\nSubject: none\n",
        b"From the 10:30 train we saw it in 2002,\nhttp://example.com/\n",
        b"From Thursday 22 Aug 2002 at 12:36 we were there, all of us.\n",
    ],
)
def test_a_sentence_is_no_separator(messages: Messages, sentence: bytes) -> None:
    written = b"Subject: x\n\nfirst\n\n" + sentence
    [message] = messages(FROM + b"\n" + written + b"\n" + FROM + b"\nS: 2\n\n", format="raw")[:1]
    assert raw(message) == written


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\n", b"\r\n", b"\xef\xbb\xbf\n"])
def test_what_editors_put_before_the_first_message_is_no_matter(messages: Messages, before: bytes) -> None:
    assert [raw(m) for m in messages(before + FROM + b"\nS: 1\n\nx\n", format="raw")] == [b"S: 1\n\nx\n"]


def test_a_message_at_the_end_may_lack_its_line_end(messages: Messages) -> None:
    assert [raw(m) for m in messages(FROM + b"\nS: 1\n\nx", format="raw")] == [b"S: 1\n\nx"]
    assert [raw(m) for m in messages(FROM, format="raw")] == [b""]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n" * 3_000_000, b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_empty_mailbox(messages: Messages, content: bytes) -> None:
    assert messages(content) == []


@pytest.mark.parametrize(
    "content", [b"Subject: a bare message\n\nbody\n", b"PK\x03\x04", b"From here on\nno\n", b"\x1f\x8b\x08"]
)
def test_another_file_is_refused_by_name(messages: Messages, content: bytes) -> None:
    with pytest.raises(SourceUnreadableError, match=r"^path: is not an mbox file"):
        messages(content)


def test_identical_copies_have_one_id(messages: Messages) -> None:
    first, second, third = messages(as_mboxrd([b"S: 1\n\nx\n", b"S: 2\n\nx\n", b"S: 1\n\nx\n"]))
    assert first == third
    assert first["id"] != second["id"]
    assert first["threadId"] == first["id"]


def test_status_headers_become_labels(messages: Messages) -> None:
    written = [b"S: 1\n\n\n", b"Status: RO\n\n\n", b"Status: O\nX-Status: F\n\n\n", b"X-Status: D\n\n\n"]
    labels = [m["labelIds"] for m in messages(as_mboxrd(written))]
    assert labels == [[], [], ["UNREAD", "STARRED"], ["TRASH"]]
