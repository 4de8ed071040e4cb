"""What both mail sources do: walk over mailbox files and give their messages as Gmail message resources."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lorchestra.errors import SourceUnreadableError
from lorchestra.model import Cursor, Progress, Record, Rejection, Window
from lorchestra.sources.base import SourceOptions
from lorchestra.sources.from_line import from_line_date
from lorchestra.sources.gmail_message import Envelope, full_resource, raw_resource
from lorchestra.sources.mail_dates import in_window, received_date, written_date
from lorchestra.sources.mail_paths import find_mailboxes
from lorchestra.sources.maildir_reader import maildir_size, read_maildir
from lorchestra.sources.mbox_reader import NotAnMboxError, Quoting, read_mbox
from lorchestra.sources.mime import Head, parse_head
from lorchestra.sources.stored_message import StoredMessage

MessageFormat = Literal["full", "raw"]
_Path = Annotated[str, Field(min_length=1)]
#: What a source makes of a message's `From ` line, flags and headers: id, threadId and labelIds.
Identify = Callable[[StoredMessage, Head], tuple[str, str, list[str]]]


class MailboxOptions(SourceOptions):
    """The options of both mail sources."""

    path: _Path | Annotated[list[_Path], Field(min_length=1)] = Field(
        description="The mailbox, or a list of them, relative to the configuration file. "
        "`~`, `*`, `?`, `[…]` and `**` are understood."
    )
    format: MessageFormat = Field(
        default="full",
        description="`full` gives every header and every part, attachments inline up to 20 MB an object; "
        "`raw` gives each message byte for byte.",
    )
    quoting: Quoting = Field(
        default="mboxrd",
        description="How the writer of an mbox file protected lines of a body that begin with `From `: "
        "`mboxrd` (each `>*From ` got one more `>`), `mboxo` (only `From ` did) or `none`.",
    )

    @property
    def paths(self) -> list[str]:
        """`path`, always as a list."""
        return [self.path] if isinstance(self.path, str) else self.path


@dataclass(kw_only=True)
class MailboxSource:
    """Mailbox files, read from beginning to end, one message in memory at a time."""

    options: MailboxOptions
    base: Path
    identify: Identify
    maildirs: bool
    _done: int = 0
    _total: int | None = None

    def records(self, window: Window, cursor: Cursor | None) -> Iterator[Record | Rejection]:  # noqa: ARG002
        """Yield the messages of the window, mailbox by mailbox in sorted order.

        A message belongs to the window by the date it arrived: that of its `From ` line, else of its topmost
        Received header, else when its Maildir took it in, else its Date header. One that has none of them
        belongs to every window: better once too often than lost. In the raw format, a message over 64 MB is
        a rejection, `too_large`; the full format gives its headers.

        Raises:
            SourceUnreadableError: a path names nothing, or something that is no mailbox or cannot be read.
        """
        mailboxes = find_mailboxes(self.options.paths, self.base, maildirs=self.maildirs)
        ends = self._measure(mailboxes)
        for mailbox, end in zip(mailboxes, ends, strict=True):
            start = self._done
            for stored, read in self._messages(mailbox):
                record = stored if isinstance(stored, Rejection) else self._record(stored, window)
                self._done = min(start + read, end)
                if record is not None:
                    yield record
                del stored, record  # or a large one would still be held while the next is read
            self._done = end

    def next_cursor(self) -> Cursor | None:
        """None: mailbox files are read whole each time, and the store tells new messages from known ones."""
        return None

    def progress(self) -> Progress:
        """Bytes of all mailboxes together; the total is known once `records` has begun."""
        return Progress(bytes_done=self._done, bytes_total=self._total)

    def _measure(self, mailboxes: Sequence[Path]) -> list[int]:
        ends, total = [], 0
        for mailbox in mailboxes:
            try:
                total += maildir_size(mailbox) if mailbox.is_dir() else mailbox.stat().st_size
            except OSError as error:
                raise self._unreadable(mailbox, error) from error
            ends.append(total)
        self._total = total
        return ends

    def _messages(self, mailbox: Path) -> Iterator[tuple[StoredMessage | Rejection, int]]:
        """The messages of one mailbox, each with the number of its bytes read by then."""
        name = self._name(mailbox)
        try:
            if mailbox.is_dir():
                read = 0
                for stored in read_maildir(mailbox, name=name):
                    read += stored.size if isinstance(stored, StoredMessage) else 0
                    yield stored, read
                return
            with mailbox.open("rb", buffering=0) as stream:
                yield from read_mbox(stream, name=name, quoting=self.options.quoting)
        except NotAnMboxError as error:
            raise SourceUnreadableError(
                "path: is not an mbox file: it does not begin with a `From ` line",
                place=name,
                next_step="Name an mbox file, unpacked, or (for source `mbox`) a Maildir.",
            ) from error
        except OSError as error:
            raise self._unreadable(mailbox, error) from error

    def _record(self, stored: StoredMessage, window: Window) -> Record | Rejection | None:
        head = parse_head(stored.content)
        arrived = _arrived(stored, head)
        if not in_window(arrived, window):
            return None
        if self.options.format == "raw" and not stored.is_whole:
            return Rejection(reason="too_large", position=stored.position)
        message_id, thread_id, label_ids = self.identify(stored, head)
        envelope = Envelope(id=message_id, thread_id=thread_id, label_ids=label_ids, internal_date=arrived)
        resource = raw_resource if self.options.format == "raw" else full_resource
        return Record(data=resource(stored, head, envelope), position=stored.position)

    def _name(self, mailbox: Path) -> str:
        return (
            mailbox.relative_to(self.base).as_posix() if mailbox.is_relative_to(self.base) else mailbox.name
        )

    def _unreadable(self, mailbox: Path, error: OSError) -> SourceUnreadableError:
        reason = error.strerror or type(error).__name__
        return SourceUnreadableError(
            f"path: cannot be read: {reason}",
            place=self._name(mailbox),
            next_step="Check that the file is there and that you may read it.",
        )


def _arrived(stored: StoredMessage, head: Head) -> int | None:
    arrived = from_line_date(stored.from_line)
    if arrived is None:
        arrived = received_date(head.values("received"))
    if arrived is None:
        arrived = stored.filed_at
    return written_date(head.values("date")) if arrived is None else arrived
