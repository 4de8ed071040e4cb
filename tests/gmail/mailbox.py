"""What the mailbox of a test holds: real messages, or made ones, as many as wanted."""

import mailbox
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lorchestra.sources.gmail_labels import takeout_label_ids

TAKEOUT = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"
_FROM_LINE = re.compile(r"(?P<number>\d+)@xxx (?P<date>.+)")
_FROM_LINE_DATE = "%a %b %d %H:%M:%S %z %Y"
_ADDED_BY_TAKEOUT = re.compile(rb"(?m)^X-(?:GM-THRID|Gmail-Labels):.*\r?\n(?:[ \t].*\r?\n)*")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_FIRST_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_LINE = b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod\r\n"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as the mailbox holds it."""

    id: str
    thread_id: str
    raw: bytes
    label_ids: tuple[str, ...]
    internal_date: datetime


def takeout_messages(path: Path = TAKEOUT) -> list[Message]:
    """The messages of a Takeout file as the API gives them, in the order of the file.

    Ids, threads, labels and dates are the file's; the bytes are without the two header fields that Takeout
    puts in front and without the quoting of `From ` lines.
    """
    export = mailbox.mbox(path, create=False)
    try:
        return [_from_takeout(export.get_bytes(key, from_=True), export[key]) for key in export.iterkeys()]
    finally:
        export.close()


def made_messages(
    count: int,
    *,
    first_date: datetime = _FIRST_DATE,
    step: timedelta = timedelta(minutes=10),
    size: int = 2_000,
    attachment: bytes | None = None,
    label_ids: tuple[str, ...] = ("INBOX", "UNREAD"),
    first_number: int = 0,
) -> Iterator[Message]:
    """Messages that arrived one `step` after the other, oldest first, each of about `size` bytes.

    Number, date and id go together: other `first_number`s and dates make other messages. With an attachment,
    each carries it, and its bytes come on top of `size`.
    """
    for number in range(first_number, first_number + count):
        date = first_date + step * (number - first_number)
        identity = message_id(date, number)
        yield Message(
            id=identity,
            thread_id=identity,
            raw=made_mail(number, date, size=size, attachment=attachment),
            label_ids=label_ids,
            internal_date=date,
        )


def made_mail(number: int, date: datetime, *, size: int = 2_000, attachment: bytes | None = None) -> bytes:
    """The bytes of one made message."""
    head = (
        f"From: Sender {number % 50} <sender{number % 50}@example.com>\r\nTo: owner@example.com\r\n"
        f"Subject: Message {number}\r\nDate: {date:%a, %d %b %Y %H:%M:%S %z}\r\n"
        f"Message-ID: <{number}@example.com>\r\nMIME-Version: 1.0\r\n"
    ).encode("ascii")
    text_head = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    lines = max(1, (size - len(head) - len(text_head)) // len(_LINE))
    text = text_head + f"{number}\r\n".encode() + _LINE * lines
    if attachment is None:
        return head + text
    encoded = urlsafe_b64encode(attachment).translate(bytes.maketrans(b"-_", b"+/"))
    folded = b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    return (
        head
        + b'Content-Type: multipart/mixed; boundary="=_made_"\r\n\r\n--=_made_\r\n'
        + text
        + b'\r\n--=_made_\r\nContent-Type: application/pdf; name="made.pdf"\r\n'
        + b'Content-Disposition: attachment; filename="made.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + folded
        + b"\r\n--=_made_--\r\n"
    )


def message_id(date: datetime, number: int) -> str:
    """An id in Gmail's manner: 16 hex digits (from November 2004 on) that begin with the time."""
    return format((epoch_ms(date) << 20) | (number & 0xFFFFF), "016x")


def epoch_ms(date: datetime) -> int:
    return (date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def seed(
    messages: Iterable[Message], *, address: str, tokens: Iterable[str], label_ids: Iterable[str] = ()
) -> Mapping[str, Any]:
    """What the server is started with: a mailbox with messages, and access tokens of its own.

    Labels that are neither Gmail's own nor on a message are there when `label_ids` names them.
    """
    return {
        "tokens": {token: {"login": address, "scopes": []} for token in tokens},
        "google": {
            "users": [{"email": address, "name": "Owner"}],
            "labels": [{"id": label, "name": label, "user_email": address} for label in label_ids],
            "messages": [
                {
                    "id": message.id,
                    "thread_id": message.thread_id,
                    "user_email": address,
                    "raw": urlsafe_b64encode(message.raw).decode("ascii"),
                    "label_ids": list(message.label_ids),
                    # Not as a number: the server takes one of twelve digits, in 2001, for seconds.
                    "internal_date": iso_date(message.internal_date),
                }
                for message in messages
            ],
        },
    }


def iso_date(date: datetime) -> str:
    return date.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _from_takeout(stored: bytes, message: mailbox.mboxMessage) -> Message:
    from_line = _FROM_LINE.fullmatch(message.get_from())
    if not from_line:
        raise ValueError(f"Not a line of Takeout's: {message.get_from()!r}")
    identity = format(int(from_line["number"]), "x")
    thread = message["X-GM-THRID"]
    head, empty_line, body = stored.partition(b"\n")[2].partition(b"\n\n")
    return Message(
        id=identity,
        thread_id=format(int(thread), "x") if thread else identity,
        raw=_QUOTED_FROM.sub(rb"\1", _ADDED_BY_TAKEOUT.sub(b"", head + b"\n") + empty_line[1:] + body),
        label_ids=tuple(takeout_label_ids(message.get_all("X-Gmail-Labels", []))),
        internal_date=datetime.strptime(from_line["date"], _FROM_LINE_DATE),  # noqa: DTZ007 (has a zone)
    )
