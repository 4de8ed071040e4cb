"""Mail from any mbox file or Maildir."""

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.sources.base import SourceContext, SourceType
from lorchestra.sources.mailbox_source import MailboxOptions, MailboxSource
from lorchestra.sources.mime import Head
from lorchestra.sources.stored_message import StoredMessage

_LABELS_OF_FLAGS = {"F": "STARRED", "T": "TRASH", "D": "DRAFT"}


class MboxOptions(MailboxOptions):
    """The options of `source = "mbox"`."""


def open_mbox(options: MboxOptions, context: SourceContext) -> MailboxSource:
    return MailboxSource(options=options, base=context.base, identify=identify_mbox, maildirs=True)


def identify_mbox(stored: StoredMessage, head: Head) -> tuple[str, str, list[str]]:
    """The SHA-256 of the message's bytes as id and thread, so that identical copies are one object.

    Labels come from a Maildir's flags (no S: UNREAD, F: STARRED, T: TRASH, D: DRAFT), or from the Status and
    X-Status headers that mail programs keep in mbox files (Status without R: UNREAD, X-Status F: STARRED,
    D: TRASH, T: DRAFT). Where there are neither, nothing is said of labels.
    """
    message_id = stored.sha256()
    if stored.flags is not None:
        return message_id, message_id, _labels_of_flags(stored.flags)
    return message_id, message_id, _labels_of_status(head)


def _labels_of_flags(flags: str) -> list[str]:
    unread = [] if "S" in flags else ["UNREAD"]
    return unread + [label for flag, label in _LABELS_OF_FLAGS.items() if flag in flags]


def _labels_of_status(head: Head) -> list[str]:
    status, marks = (_last(head, name) for name in ("status", "x-status"))
    labels = [] if status is None or "R" in status else ["UNREAD"]
    return labels + [
        label for mark, label in (("F", "STARRED"), ("D", "TRASH"), ("T", "DRAFT")) if mark in (marks or "")
    ]


def _last(head: Head, name: str) -> str | None:
    values = head.values(name)
    return values[-1] if values else None


MBOX = SourceType(
    summary="Mail from mbox files and Maildirs, without an account.",
    object_type="email",
    options=MboxOptions,
    open=open_mbox,
    idem_key_fn=gmail_idem_key,
)
