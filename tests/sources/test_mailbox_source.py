"""Which mailboxes are read, which of their messages, and what is said when that cannot be."""

import hashlib
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lorchestra.errors import SourceUnreadableError
from lorchestra.model import Record, Rejection, Window
from lorchestra.sources.base import SourceContext
from lorchestra.sources.mbox import MBOX, MboxOptions, open_mbox
from lorchestra.sources.stored_message import WHOLE_MESSAGE_LIMIT

Read = Callable[..., list[Record | Rejection]]


def write(path: Path, *subjects: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"".join(
            b"From a@example.com Thu Aug 22 12:00:00 2002\nSubject: %s\n\nx\n\n" % name.encode()
            for name in subjects
        )
    )


def subjects(records: list[Record | Rejection]) -> list[str]:
    return [
        header["value"]
        for record in records
        if isinstance(record, Record)
        for header in record.data["payload"]["headers"]
        if header["name"] == "Subject"
    ]


def test_paths_are_relative_and_may_have_patterns(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "b.mbox", "b")
    write(tmp_path / "a.mbox", "a1", "a2")
    write(tmp_path / "deep" / "er" / "c.mbox", "c")
    write(tmp_path / "[odd].mbox", "odd")
    assert subjects(read("mbox", path="a.mbox")) == ["a1", "a2"]
    assert subjects(read("mbox", path=str(tmp_path / "a.mbox"))) == ["a1", "a2"]
    assert subjects(read("mbox", path="[odd].mbox")) == ["odd"]
    assert subjects(read("mbox", path="?.mbox")) == ["a1", "a2", "b"]
    assert subjects(read("mbox", path="**/*.mbox")) == ["odd", "a1", "a2", "b", "c"]
    assert subjects(read("mbox", path=["b.mbox", "*.mbox", "./b.mbox"])) == ["odd", "a1", "a2", "b"]


def test_a_position_is_the_file_and_the_offset(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "mail" / "a.mbox", "a1", "a2")
    positions = [record.position for record in read("mbox", path="mail/*")]
    assert positions == ["mail/a.mbox:byte 0", "mail/a.mbox:byte 60"]


@pytest.mark.parametrize("path", ["none.mbox", "*.none", "empty/*", "~nobody/none"])
@pytest.mark.parametrize("source", ["mbox", "takeout"])
def test_a_path_that_names_nothing_is_an_error(tmp_path: Path, read: Read, source: str, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceUnreadableError, match=r"^path: nothing matches") as raised:
        read(source, path=path)
    assert path in (raised.value.place or "")
    assert path not in str(raised.value)
    assert raised.value.next_step


@pytest.mark.parametrize("source", ["mbox", "takeout"])
def test_a_folder_that_is_no_maildir_is_an_error(tmp_path: Path, read: Read, source: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceUnreadableError, match=r"^path: is a folder"):
        read(source, path="folder")


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path, read: Read) -> None:
    with socket.socket(socket.AF_UNIX) as unreadable:  # even for root, whom no permissions keep out
        unreadable.bind(str(tmp_path / "a.mbox"))
        with pytest.raises(SourceUnreadableError, match=r"^path: cannot be read: No such device"):
            read("mbox", path="a.mbox")


def test_a_file_that_goes_away_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.mbox", "a")
    write(tmp_path / "b.mbox", "b")
    records = MBOX.open(MBOX.options(path="*.mbox"), SourceContext(base=tmp_path)).records(Window(), None)
    next(records)
    (tmp_path / "b.mbox").unlink()
    with pytest.raises(SourceUnreadableError, match=r"^path: cannot be read"):
        next(records)


@pytest.mark.parametrize(
    "options",
    [{}, {"path": ""}, {"path": []}, {"path": "x", "format": "eml"}, {"path": "x", "quoting": "mboxcl"}],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MBOX.options(**options)


def test_a_window_is_half_open(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "a.mbox", "a")
    noon, moment = datetime(2002, 8, 22, 12, tzinfo=UTC), timedelta(microseconds=1)
    for window, inside in (
        (Window(since=noon), True),
        (Window(since=noon + moment), False),
        (Window(until=noon), False),
        (Window(until=noon + moment), True),
        (Window(since=noon, until=noon + moment), True),
        (Window(), True),
    ):
        assert bool(read("mbox", path="a.mbox", window=window)) == inside


def test_a_message_without_a_date_is_in_every_window(tmp_path: Path, read: Read) -> None:
    (tmp_path / "a.mbox").write_bytes(b"From a@example.com\nSubject: a\n\n")
    long_ago = Window(until=datetime(1980, 1, 1, tzinfo=UTC))
    [record] = read("mbox", path="a.mbox", window=long_ago)
    assert isinstance(record, Record)
    assert "internalDate" not in record.data


def maildir(path: Path) -> Path:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return path


def test_a_maildir_is_read_with_its_flags_and_subfolders(tmp_path: Path, read: Read) -> None:
    box = maildir(tmp_path / "Mail")
    sub = maildir(box / ".Archive")
    content = b"Subject: x\r\n\r\nFrom x\n>From y"
    names = ["1030017600.M1.host:2,", "1030017601.M1.host:2,FS", "1030017602.M1.host:2,RST", "x:2,DS"]
    for name in names:
        (box / "cur" / name).write_bytes(content + name.encode())
    (box / "new" / "1030017603.M1.host").write_bytes(content)
    (box / "tmp" / "1030017604.M1.host").write_bytes(content)
    (sub / "cur" / "1030017605.M1.host:2,S").write_bytes(content)
    os.utime(box / "cur" / "x:2,DS", (1_000_000_000, 1_000_000_000))
    found = {
        record.position: record.data for record in read("mbox", path="Mail") if isinstance(record, Record)
    }
    assert {position: data["labelIds"] for position, data in found.items()} == {
        "Mail/cur/1030017600.M1.host:2,": ["UNREAD"],
        "Mail/cur/1030017601.M1.host:2,FS": ["STARRED"],
        "Mail/cur/1030017602.M1.host:2,RST": ["TRASH"],
        "Mail/cur/x:2,DS": ["DRAFT"],
        "Mail/new/1030017603.M1.host": ["UNREAD"],
        "Mail/.Archive/cur/1030017605.M1.host:2,S": [],
    }
    assert found["Mail/cur/1030017601.M1.host:2,FS"]["internalDate"] == "1030017601000"
    assert found["Mail/cur/x:2,DS"]["internalDate"] == "1000000000000"
    assert found["Mail/new/1030017603.M1.host"]["id"] == hashlib.sha256(content).hexdigest()
    everything = read("mbox", path="**")
    assert len(everything) == 6


def test_a_message_renamed_meanwhile_is_read_and_a_deleted_one_is_not(tmp_path: Path) -> None:
    box = maildir(tmp_path / "Mail")
    for number in range(3):
        (box / "new" / f"103001760{number}.M1.host").write_bytes(b"Subject: %d\n\n" % number)
    records = MBOX.open(MBOX.options(path="Mail"), SourceContext(base=tmp_path)).records(Window(), None)
    first = next(records)
    (box / "new" / "1030017601.M1.host").rename(box / "cur" / "1030017601.M1.host:2,S")
    (box / "new" / "1030017602.M1.host").unlink()
    assert subjects([first, *records]) == ["0", "1"]


@pytest.fixture(scope="module")
def enormous(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A mailbox whose second message is too large to be held in memory, and that message."""
    folder = tmp_path_factory.mktemp("enormous")
    large = b"Subject: large\nContent-Type: application/x; name=x.bin\n\nFrom x\n" + (b"y" * 76 + b"\n") * (
        WHOLE_MESSAGE_LIMIT // 77
    )
    large += b"From y\n\n"
    with (folder / "large.mbox").open("wb") as file:
        for message in (b"Subject: before\n\n", large, b"Subject: after\n\n"):
            quoted = message.replace(b"\nFrom ", b"\n>From ")
            file.write(b"From a@example.com Thu Aug 22 12:00:00 2002\n" + quoted + b"\n")
    return folder, large


def test_of_an_enormous_message_the_headers_are_given(enormous: tuple[Path, bytes]) -> None:
    folder, large = enormous
    source = MBOX.open(MBOX.options(path="large.mbox"), SourceContext(base=folder))
    records = list(source.records(Window(), None))
    assert subjects(records) == ["before", "large", "after"]
    data = records[1].data  # type: ignore[union-attr]
    assert data["id"] == hashlib.sha256(large).hexdigest()
    assert data["sizeEstimate"] == len(large)
    assert data["_lorchestra"]["left_out"] == [
        {"partId": "", "filename": "x.bin", "mimeType": "application/x", "size": len(large)}
    ]
    assert "data" not in data["payload"]["body"]


def test_an_enormous_message_cannot_be_raw(enormous: tuple[Path, bytes]) -> None:
    folder, _ = enormous
    source = MBOX.open(MBOX.options(path="large.mbox", format="raw"), SourceContext(base=folder))
    first, second, third = source.records(Window(), None)
    assert second == Rejection(reason="too_large", position="large.mbox:byte 62")
    assert isinstance(first, Record)
    assert isinstance(third, Record)


def test_one_file_of_a_maildir_that_cannot_be_read_does_not_cost_the_others(tmp_path: Path) -> None:
    """It is a rejection with its place. A circle of links is no message."""
    cur = tmp_path / "box" / "cur"
    for name in ("cur", "new"):
        (tmp_path / "box" / name).mkdir(parents=True)
    (cur / "1").write_bytes(b"Subject: one\n\n")
    (cur / "2").symlink_to("/proc/self/mem")
    (cur / "3").write_bytes(b"Subject: three\n\n")
    (cur / "4").symlink_to("4")
    source = open_mbox(MboxOptions(path="box"), SourceContext(base=tmp_path))
    first, second, third = source.records(Window(), None)
    assert isinstance(first, Record)
    assert second == Rejection(reason="unreadable_file", position="box/cur/2")
    assert isinstance(third, Record)
