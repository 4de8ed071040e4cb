"""`mailbox` and `email` of the standard library: every header, and every body decoded, as JSON Lines.

    python stdlib_mailbox.py MBOX OUT

JSON is written by the library that lorchestra writes it with, so that it makes no difference.
"""

import mailbox
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from email.message import Message


def part_of(part: "Message[str, str]") -> dict[str, Any]:
    """One part, its bytes in base64, as they are no text."""
    data = b"" if part.is_multipart() else part.get_payload(decode=True)
    return {
        "mimeType": part.get_content_type(),
        "filename": part.get_filename(),
        "headers": [{"name": name, "value": str(value)} for name, value in part.items()],
        "data": urlsafe_b64encode(data if isinstance(data, bytes) else b"").decode("ascii"),
    }


with Path(sys.argv[2]).open("wb") as out:
    for message in mailbox.mbox(sys.argv[1]):
        line = {"from": message.get_from(), "parts": [part_of(part) for part in message.walk()]}
        out.write(orjson.dumps(line) + b"\n")
