"""A message as a mailbox on disk holds it, before anyone has read its content."""

import hashlib
from dataclasses import dataclass

MIB = 1024 * 1024
#: A larger message is never held in memory whole.
WHOLE_MESSAGE_LIMIT = 64 * MIB
#: How much of such a message is kept: room for any header block.
HEAD_LIMIT = MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredMessage:
    """One message: its bytes, and what the mailbox itself knows of it.

    `content` is the whole message when `is_whole`, or else its first `HEAD_LIMIT` bytes, with `size` and
    `digest` being those of the whole. `filed_at` is when a Maildir took the message in, in epoch
    milliseconds; `flags` are the Maildir's, or None where there can be none.
    """

    content: bytes
    size: int
    digest: str | None
    position: str
    from_line: bytes = b""
    filed_at: int | None = None
    flags: str | None = None

    @property
    def is_whole(self) -> bool:
        return len(self.content) == self.size

    def sha256(self) -> str:
        """SHA-256 of the message's bytes, in hexadecimal."""
        return self.digest or hashlib.sha256(self.content).hexdigest()
