"""Gmail as Google Takeout exports it: one mbox file, or one for each label."""

import re

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.sources.base import SourceContext, SourceType
from lorchestra.sources.gmail_labels import takeout_label_ids
from lorchestra.sources.mailbox_source import MailboxOptions, MailboxSource
from lorchestra.sources.mime import Head
from lorchestra.sources.stored_message import StoredMessage

_MESSAGE_NUMBER = re.compile(rb"From (\d{1,20})@xxx\b")
_THREAD_NUMBER = re.compile(r"\s*(\d{1,20})\s*")


class TakeoutOptions(MailboxOptions):
    """The options of `source = "takeout"`."""


def open_takeout(options: TakeoutOptions, context: SourceContext) -> MailboxSource:
    return MailboxSource(options=options, base=context.base, identify=identify_takeout, maildirs=False)


def identify_takeout(stored: StoredMessage, head: Head) -> tuple[str, str, list[str]]:
    """The ids that the Gmail API uses for the same message and thread, and its label ids.

    `From N@xxx` and X-GM-THRID hold them as decimal numbers; the API writes them in hexadecimal, without
    leading zeros. Without such a number the id is the SHA-256 of the message, and the thread is the message.
    """
    number = _MESSAGE_NUMBER.match(stored.from_line)
    message_id = (_api_id(number[1].decode()) if number else None) or stored.sha256()
    thread_id = message_id
    numbers = head.values("x-gm-thrid")
    if numbers:
        thread = _THREAD_NUMBER.fullmatch(numbers[0])
        thread_id = (_api_id(thread[1]) if thread else None) or message_id
    return message_id, thread_id, takeout_label_ids(head.values("x-gmail-labels"))


def _api_id(decimal: str) -> str | None:
    number = int(decimal)
    return format(number, "x") if number < 2**64 else None


TAKEOUT = SourceType(
    summary="Gmail from a Google Takeout export, without an account.",
    object_type="email",
    options=TakeoutOptions,
    open=open_takeout,
    idem_key_fn=gmail_idem_key,
)
