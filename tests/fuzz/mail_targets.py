"""Mail: mbox files, single messages, names of Maildir files."""

import io
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import Record, Window
from lorchestra.sources.base import SourceContext
from lorchestra.sources.from_line import is_separator
from lorchestra.sources.mbox import MboxOptions, open_mbox
from lorchestra.sources.mbox_reader import NotAnMboxError, Quoting, read_mbox
from lorchestra.sources.takeout import TakeoutOptions, open_takeout
from lorchestra.stack_clients.event_client.objects import idem_key, serialised
from lorchestra.stores import open_store

QUOTINGS: tuple[Quoting, ...] = ("mboxrd", "mboxo", "none")
_STORE = open_store("duckdb:///never-opened.duckdb")
_KEY = gmail_idem_key("tap-gmail--acct1")


class ShortReads(io.BytesIO):
    """A file that gives fewer bytes than it is asked for, as pipes and network drives do."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._most if size is None or size < 0 else min(size, self._most))


def mbox(data: bytes) -> None:
    """Messages are those that a reader by lines finds, byte for byte, however the file is read."""
    try:
        found = [(stored.from_line, stored.content, stored.position) for stored in _messages(data)]
    except NotAnMboxError:
        return
    assert found == list(_by_lines(data))
    most = 1 + len(data) % 13
    again = [(stored.from_line, stored.content, stored.position) for stored in _messages(data, most)]
    assert again == found


def _messages(data: bytes, most: int | None = None) -> Iterator[Any]:
    stream = io.BytesIO(data) if most is None else ShortReads(data, most)
    return (stored for stored, _ in read_mbox(stream, name="x", quoting="none"))


def _by_lines(data: bytes) -> Iterator[tuple[bytes, bytes, str]]:
    """The same rule of what a From line is, on a file in memory, line by line."""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while data[start : start + 1] in {b"\r", b"\n"}:
        start += 1
    lines = [line + b"\n" for line in data[start:].split(b"\n")]
    lines[-1] = lines[-1][:-1]
    begins: list[int] = []
    for number, line in enumerate(lines):
        after_empty = number == 0 or (
            number > 0 and lines[number - 1] in {b"\n", b"\r\n"} and _ended(lines, number)
        )
        following = lines[number + 1] if number + 1 < len(lines) else b""
        if line.startswith(b"From ") and is_separator(
            line, after_empty_line=after_empty, next_line=following
        ):
            begins.append(number)
    offsets = [start]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    for begin, end in zip(begins, [*begins, len(lines)][1:], strict=True):
        content = b"".join(lines[begin + 1 : end])
        for empty in (b"\r\n", b"\n"):
            if content == empty or content.endswith(b"\n" + empty):
                content = content[: -len(empty)]
                break
        yield lines[begin].rstrip(b"\r\n"), content, f"x:byte {offsets[begin]}"


def _ended(lines: list[bytes], number: int) -> bool:
    # An empty line is one that another line ended before.
    return number >= 2


def message(data: bytes) -> None:
    """Any bytes are a message: it has a key, is JSON, and nothing of it is lost."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.mbox"
        path.write_bytes(
            b"From 1849@xxx Fri Nov 21 00:00:00 +0000 2025\n" + data.replace(b"\nFrom ", b"\n>From ")
        )
        for message_format in ("full", "raw"):
            for opened in (
                open_takeout(
                    TakeoutOptions(path=str(path), format=message_format), SourceContext(base=Path(folder))
                ),
                open_mbox(
                    MboxOptions(path=str(path), format=message_format), SourceContext(base=Path(folder))
                ),
            ):
                records = list(opened.records(Window(), None))
                assert len(records) == 1
                _check(records[0], message_format)


def _check(record: Any, message_format: str) -> None:
    assert isinstance(record, Record)
    assert idem_key(record.data, _KEY).startswith("tap-gmail--acct1:email:")
    payload = serialised(record.data, store=_STORE)
    assert orjson.loads(payload) == record.data
    if "raw" in record.data:
        assert len(urlsafe_b64decode(record.data["raw"])) == record.data["sizeEstimate"]
    else:
        assert message_format == "full"
        for leaf in _leaves(record.data["payload"]):
            assert len(urlsafe_b64decode(leaf["body"]["data"])) == leaf["body"]["size"]


def _leaves(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "parts" not in part:
        yield part
    for child in part.get("parts", ()):
        yield from _leaves(child)


def maildir(data: bytes) -> None:
    """A file of a Maildir is a message, whatever it is called."""
    name, _, content = data.partition(b"\n")
    name = name.translate(None, b"\0/")[:200]
    if not name or name.startswith(b"."):
        return
    with TemporaryDirectory() as folder:
        for sub in ("cur", "new", "tmp"):
            (Path(folder) / "box" / sub).mkdir(parents=True)
        (Path(folder).joinpath("box", "cur") / name.decode(errors="surrogateescape")).write_bytes(content)
        source = open_mbox(MboxOptions(path="box"), SourceContext(base=Path(folder)))
        [record] = source.records(Window(), None)
        _check(record, "full")
