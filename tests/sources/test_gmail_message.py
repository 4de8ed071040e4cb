"""Any message becomes a Gmail message resource that leaves nothing out unnamed."""

import email
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.sources.gmail_message import INLINE_LIMIT, Envelope, full_resource
from lorchestra.sources.mail_text import header_text
from lorchestra.sources.mime import parse_head
from lorchestra.sources.stored_message import StoredMessage

SAMPLE = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"
One = Callable[..., dict[str, Any]]
ENVELOPE = Envelope(id="1", thread_id="1", label_ids=[], internal_date=0)


@cache
def sample_messages() -> list[bytes]:
    return [part.split(b"\n", 1)[1] for part in re.split(rb"\n\n(?=From \d+@xxx)", SAMPLE.read_bytes())]


def resource_of(content: bytes) -> dict[str, Any]:
    stored = StoredMessage(content=content, size=len(content), digest=None, position="x")
    return full_resource(stored, parse_head(content), ENVELOPE)


def parts_of(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield payload
    for part in payload.get("parts", []):
        yield from parts_of(part)


def data_of(part: dict[str, Any]) -> bytes:
    return urlsafe_b64decode(part["body"]["data"])


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    inner = b"".join(b"--" + boundary + b"\n" + part + b"\n" for part in parts)
    return (
        b'Content-Type: multipart/mixed; boundary="'
        + boundary
        + b'"\n\n'
        + inner
        + b"--"
        + boundary
        + b"--\n"
    )


def test_every_header_and_every_part_is_there() -> None:
    for content in sample_messages():
        parsed = email.message_from_bytes(content)
        parts = list(parts_of(resource_of(content)["payload"]))
        walked = list(parsed.walk())
        assert len(parts) == len(walked)
        for part, message in zip(parts, walked, strict=True):
            assert [h["name"] for h in part["headers"]] == [name for name, _ in message.raw_items()]
            assert part["mimeType"] == message.get_content_type()
            if not message.is_multipart():
                data = message.get_payload(decode=True)
                assert data_of(part) == data
                assert part["body"]["size"] == len(data)


def test_the_short_way_to_a_message_of_one_part_loses_nothing() -> None:
    for content in (
        b"Subject: x\r\n\r\nbody\r\n",
        b"Subject: x\r\rbody\r",
        b"\n\nbody",
        b"\r\nbody",
        b"Subject: x\nno header\nA: b\n\nbody",
        b"Subject: x",
        b"Subject: x\n folded\n\tmore\n\n\n\nbody\n",
        b": no name\nA: b\n\nbody",
        b"From x\nA: b\n\nbody",
        b"A: b\n>From x\nC: d\n\nbody",
        b"Content-Transfer-Encoding: base64\n\nYQ==\n\xff",
        b"",
    ):
        parsed = email.message_from_bytes(content)
        payload = resource_of(content)["payload"]
        assert [h["name"] for h in payload["headers"]] == [name for name, _ in parsed.raw_items()]
        assert data_of(payload) == parsed.get_payload(decode=True)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_no_damage_makes_it_fail(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([m for m in sample_messages() if len(m) < 20_000])))
    edits = st.tuples(
        st.integers(0, len(content)),
        st.integers(0, 40),
        st.binary(max_size=6)
        | st.sampled_from(
            [
                b"\n\n",
                b"=?utf-8?B?",
                b"?=",
                b"--",
                b"\0",
                b"\xff",
                b"; boundary=",
                b"multipart/mixed",
                b"=?x?Q?=FF?=",
            ]
        ),
    )
    for start, length, new in data.draw(st.lists(edits, min_size=1, max_size=8)):
        content[start : start + length] = new
    resource = resource_of(bytes(content))
    serialised = orjson.dumps(resource)
    assert orjson.loads(serialised) == resource
    assert rb"\u0000" not in serialised
    assert ("payload" in resource) != ("raw" in resource)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"=?UTF-8?Q?Re=C3=A7us?=", "Reçus"),
        (b"=?utf-8?B?UmXDp3Vz?= and =?iso-8859-1?q?caf=E9?=", "Reçus and café"),
        (b"=?UTF-8?Q?a_?=\n =?UTF-8?Q?b?=", "a b"),
        (b"=?UTF-8?B?w?= =?UTF-8?B?qQ==?=", "=?UTF-8?B?w?= \N{REPLACEMENT CHARACTER}"),
        (b"=?UTF-8?Q?=C3?= =?UTF-8?Q?=A9?=", "é"),
        (b"=?utf-8*fr?Q?=C3=A9?=", "é"),
        (b"=?x-none?Q?=E9?=", "é"),
        (b"=?rot13?Q?abc?=", "abc"),
        (b"=?unicode_escape?Q?=5Cq?=", "\\q"),
        (b"=?utf-7?Q?+2AA-?=", "\N{REPLACEMENT CHARACTER}"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b"\x81\xff", "\x81ÿ"),
        (b"a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        (b"one\n two\n\tthree", "one two\tthree"),
        (b"=?utf-8?Q?never ends", "=?utf-8?Q?never ends"),
        (b'=?UTF-8?Q?a,"b,_c"?=', 'a,"b, c"'),
    ],
)
def test_header_values_are_decoded(header: bytes, expected: str) -> None:
    [field] = resource_of(b"Subject: " + header + b"\n\n")["payload"]["headers"]
    assert field == {"name": "Subject", "value": expected}


def test_a_header_of_many_beginnings_takes_linear_time() -> None:
    """Otherwise one message would take hours."""
    text = "=?a?q? " * 100_000
    assert header_text(text) == text
    assert header_text(f"{text}=?utf-8?b?YQ==?=") == f"{text}a"


def test_part_ids_count_as_the_api_counts() -> None:
    inner = multipart(b"Content-Type: text/plain\n\na", b"Content-Type: text/html\n\nb", boundary=b"i")
    forwarded = b"Content-Type: message/rfc822\n\n" + multipart(b"\ndeep", boundary=b"f")
    payload = resource_of(multipart(inner, b"\nc", forwarded))["payload"]
    assert [part["partId"] for part in parts_of(payload)] == (
        ["", "0", "0.0", "0.1", "1", "2", "2.0", "2.0.0"]
    )
    assert payload["body"] == {"size": 0}


def test_a_file_name_is_found_in_each_of_its_forms() -> None:
    for disposition in (
        b'attachment; filename="caf\xc3\xa9.txt"',
        b"attachment; filename*=utf-8''caf%C3%A9.txt",
        b"attachment; filename*0*=utf-8''caf%C3; filename*1*=%A9.txt",
        b'attachment; filename="=?utf-8?Q?caf=C3=A9.txt?="',
    ):
        payload = resource_of(b"Content-Disposition: " + disposition + b"\n\nx")["payload"]
        assert payload["filename"] == "café.txt"


def test_a_snippet_is_the_first_words() -> None:
    plain = resource_of(b"Subject: x\n\n  It's  a\n <b> & \n" + b"x " * 300)
    assert plain["snippet"].startswith("It&#39;s a &lt;b&gt; &amp; x x")
    html = b"Content-Type: text/html\n\n<head><style>p{}</style></head><p>Caf&eacute;<!-- no --><br>now</p>"
    assert resource_of(html)["snippet"] == "Café now"
    both = multipart(
        b"Content-Type: text/html\n\n<p>html", b"Content-Type: text/plain; charset=latin-1\n\ncaf\xe9"
    )
    assert resource_of(both)["snippet"] == "café"
    assert resource_of(b"Content-Type: application/pdf\n\n%PDF")["snippet"] == ""


def test_an_unknown_charset_or_encoding_leaves_the_bytes() -> None:
    for headers in (
        b"Content-Type: text/plain; charset=x-nowhere",
        b"Content-Type: text/plain; charset=\0",
        b"Content-Type: text/plain; charset*=nowhere''%ff",
        b"Content-Type: \xff/\xfe; charset=\xfd",
        b"Content-Transfer-Encoding: x-nothing",
    ):
        payload = resource_of(headers + b"\n\n\xe9\xff")["payload"]
        assert data_of(payload) == b"\xe9\xff"


def test_a_body_that_is_not_what_it_says_is_kept() -> None:
    unclosed = b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\ntext\n'
    assert [data_of(part) for part in parts_of(resource_of(unclosed)["payload"]["parts"][0])] == [b"text"]
    without = b"Content-Type: multipart/mixed\n\ntext\n"
    assert data_of(resource_of(without)["payload"]) == b"text\n"
    not_base64 = b"Content-Transfer-Encoding: base64\n\n!!!!@@@@####\n"
    assert "data" in resource_of(not_base64)["payload"]["body"]


@pytest.mark.parametrize("depth", [100, 400, 3000])
def test_what_cannot_be_parsed_is_kept_raw(depth: int) -> None:
    content = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(depth)
    )
    resource = resource_of(content)
    assert urlsafe_b64decode(resource["raw"]) == content
    assert resource["_lorchestra"]["parse_error"] in {"NestedTooDeeplyError", "RecursionError"}
    assert "payload" not in resource


def test_what_an_object_has_no_room_for_is_named() -> None:
    attachment = b"Content-Type: application/x; name=%s\nContent-Disposition: attachment; filename=%s\n\n"
    big = b"x" * (INLINE_LIMIT // 2)
    content = multipart(
        attachment % (b"a.bin", b"a.bin") + big,
        attachment % (b"b.bin", b"b.bin") + big,
        attachment % (b"c.bin", b"c.bin") + b"small",
        b"Content-Type: text/plain\n\ntext",
    )
    resource = resource_of(content)
    first, second, third, text = resource["payload"]["parts"]
    assert [data_of(first), data_of(third), data_of(text)] == [big, b"small", b"text"]
    assert second["body"] == {"size": len(big)}
    assert resource["_lorchestra"] == {
        "left_out": [{"partId": "1", "filename": "b.bin", "mimeType": "application/x", "size": len(big)}],
        "left_out_bytes": len(big),
    }
    assert len(orjson.dumps(resource)) < 21 * 1024 * 1024


def test_dates_come_from_the_from_line_then_the_servers(message: One) -> None:
    headers = (
        b"Received: x;\n\tThu, 22 Aug 2002 14:00:00 +0200\nReceived: y; Mon, 1 Jan 2001 00:00:00 +0000\n"
    )
    date = b"Date: Tue, 2 Jan 2001 00:00:00 -0000\n"
    undated = b"From a@example.com"
    noon, day = "1030017600000", "978393600000"
    assert (
        message(headers + b"\n", from_line=b"From a Thu Aug 22 14:00:00 2002")["internalDate"]
        == "1030024800000"
    )
    assert (
        message(headers + b"\n", from_line=b"From a Thu Aug 22 14:00:00 +0200 2002")["internalDate"] == noon
    )
    assert message(headers + b"\n", from_line=b"From a Thu Aug 22 08:00:00 EDT 2002")["internalDate"] == noon
    assert message(headers + date + b"\n", from_line=undated)["internalDate"] == noon
    assert message(date + b"\n", from_line=undated)["internalDate"] == day
    assert "internalDate" not in message(b"Date: never\n\n", from_line=undated)
    assert "internalDate" not in message(b"Received: x; Thu, 99 Foo 99999\n\n", from_line=undated)


def test_raw_is_the_message_and_nothing_else(message: One, sample: Path) -> None:
    content = b"Subject: caf\xe9\0\n\nFrom x\n>From y\n"
    resource = message(content, format="raw")
    assert urlsafe_b64decode(resource["raw"]) == content
    assert list(resource) == ["id", "threadId", "labelIds", "snippet", "sizeEstimate", "internalDate", "raw"]
