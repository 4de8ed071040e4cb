"""A part's body, its Content-Transfer-Encoding undone only as far as somebody needs it."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from email.message import Message

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# From the alphabet of mail to that of URLs; every other byte is NUL.
_URL_SAFE_OF = dict(zip(_LETTERS + b"+/=", _LETTERS + b"-_=", strict=True))
_TO_URL_SAFE = bytes(_URL_SAFE_OF.get(byte, 0) for byte in range(256))
_PADDING = frozenset({b"=", b"=="})
_AS_IT_STANDS = frozenset({"", "7bit", "8bit", "binary"})


class Body:
    """The bytes of a body, or the base64 of them that they came in."""

    __slots__ = ("_data", "_encoded", "size")

    def __init__(self, data: bytes, *, encoded: bytes | None = None) -> None:
        self._data = data
        self._encoded = encoded
        self.size = len(data) if encoded is None else len(encoded) // 4 * 3 - encoded[-2:].count(b"=")

    def beginning(self, size: int) -> bytes:
        """The first bytes, at most so many."""
        if self._encoded is None:
            return self._data[:size]
        return urlsafe_b64decode(self._encoded[: (size + 2) // 3 * 4])[:size]

    def whole(self) -> bytes:
        """All of the bytes."""
        return self._data if self._encoded is None else urlsafe_b64decode(self._encoded)

    def base64url(self) -> str:
        """All of them in the base64 of URLs."""
        return (base64url(self._data) if self._encoded is None else self._encoded).decode("ascii")


def base64url(data: bytes) -> bytes:
    """Bytes in the base64 of URLs, with padding."""
    # What has to be replaced is rare in text, and faster to find than to translate.
    return binascii.b2a_base64(data, newline=False).replace(b"+", b"-").replace(b"/", b"_")


def decoded(body: bytes, encoding: str) -> Body:
    """The body of a part whose Content-Transfer-Encoding is this, or absent when it is empty.

    It is what the email package gives, which decodes whatever is not plainly right.
    """
    known = encoding.lower()
    if known in _AS_IT_STANDS:
        return Body(body)
    if known == "quoted-printable":
        return Body(binascii.a2b_qp(body))
    if known == "base64":
        encoded = _url_safe(body)
        if encoded is not None:
            return Body(b"", encoded=encoded)
    message: Message[str, str] = Message()
    message.set_raw("Content-Transfer-Encoding", encoding)
    message.set_payload(body.decode("ascii", "surrogateescape"))
    data = message.get_payload(decode=True)
    return Body(data if isinstance(data, bytes) else b"")


def _url_safe(body: bytes) -> bytes | None:
    """Base64 in the alphabet of URLs, line ends left out; None unless it is what an encoder writes."""
    text = body.translate(_TO_URL_SAFE, b"\r\n")
    if len(text) % 4 or b"\0" in text:
        return None
    padding = text.find(b"=")
    if padding >= 0:
        last = text[-4:]
        # Bits that stand in no byte are zero, as an encoder would leave them.
        if text[padding:] not in _PADDING or urlsafe_b64encode(urlsafe_b64decode(last)) != last:
            return None
    return text
