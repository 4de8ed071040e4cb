"""Text of mail that may be in any encoding, or in none.

Nothing here raises on content, and everything returned is valid Unicode without NUL, so that it can stand
in JSON and in a database's JSON functions.
"""

import binascii
import codecs
import re
from collections.abc import Callable, Iterator

# Codecs that Python knows and mail does not: they escape, warn or refuse to replace errors.
_NOT_MAIL_CODECS = frozenset({"unicode_escape", "raw_unicode_escape", "undefined", "idna", "punycode"})
# A word ends before the next one begins, or a header of many beginnings would take time by its square. ("=?="
# is no beginning but the end of a word in base64.)
_ENCODED_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?((?:(?!=\?(?!=)).)*?)\?=", re.DOTALL)
# Codecs in which an ASCII byte is its character, whatever stands before it.
_ASCII_AS_IT_IS = frozenset({"ascii", "utf-8", "iso8859-1", "iso8859-15", "cp1252"})
_UTF8_LONGEST = 4


def clean(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def decode_text(data: bytes, charset: str | None) -> str:
    """Bytes as text in the declared charset; where that is absent, unknown or plainly wrong, guessed."""
    codec = _mail_codec(charset)
    if codec is None or codec == "ascii":
        return clean(_guess(data))
    try:
        return clean(data.decode(codec, "replace"))
    except (LookupError, ValueError):  # a codec that is not a text encoding, or cannot replace
        return clean(_guess(data))


def decoded_beginning(
    beginning: Callable[[int], bytes], charset: str | None, *, size: int, characters: int
) -> str:
    """The first characters of `decode_text(beginning(size), charset)`, of fewer bytes where they tell.

    `beginning` gives the first bytes of a text, as many as it is asked for.
    """
    codec = _mail_codec(charset) or "ascii"
    if codec in _ASCII_AS_IT_IS:
        data = beginning(min(characters, size))
        if data.isascii():
            return clean(data.decode("ascii"))
        if codec == "utf-8":
            # A character that is cut in two stands beyond those that are asked for.
            data = beginning(min(_UTF8_LONGEST * (characters + 1), size))
            return clean(data.decode("utf-8", "replace")[:characters])
    return decode_text(beginning(size), charset)[:characters]


def header_text(value: str) -> str:
    """A header's value as the Gmail API shows it: unfolded, encoded words (RFC 2047) decoded.

    `value` is as the email package's compat32 policy keeps it, with 8-bit bytes as surrogate escapes; these
    are read as UTF-8, or else as Windows-1252. Unfolding takes out the line breaks and nothing else.
    """
    if not value.isascii():
        value = decode_escaped(value)
    if "\n" in value or "\r" in value:
        value = unfolded(value)
    if "=?" in value:
        value = "".join(_decoded_words(value))
    return clean(value)


def unfolded(value: str) -> str:
    """A header's value without its line breaks."""
    return value.replace("\r", "").replace("\n", "").lstrip(" \t")


def decode_escaped(value: str) -> str:
    """8-bit bytes that stand in a text as surrogate escapes, as UTF-8 or else as Windows-1252."""
    return _guess(value.encode("utf-8", "surrogateescape"))


def _mail_codec(charset: str | None) -> str | None:
    if not charset:
        return None
    try:
        name = codecs.lookup(charset.strip().strip("'\"")).name
    except (LookupError, ValueError):
        return None
    return None if name.replace("-", "_") in _NOT_MAIL_CODECS else name


def _guess(data: bytes) -> str:
    for codec in ("utf-8", "cp1252"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _decoded_words(value: str) -> Iterator[str]:
    """White space between two encoded words is not text; bytes of one charset are joined before decoding,
    since senders split words within a character."""
    pending, charset, end = b"", "", 0
    for word in _ENCODED_WORD.finditer(value):
        data = _word_bytes(word[2], word[3])
        if data is None:
            continue
        gap = value[end : word.start()]
        between_words = bool(charset) and not gap.strip(" \t")
        if not between_words or word[1].lower() != charset:
            yield decode_text(pending, charset)
            pending = b""
        if not between_words:
            yield gap
        pending, charset, end = pending + data, word[1].lower(), word.end()
    yield decode_text(pending, charset)
    yield value[end:]


def _word_bytes(encoding: str, encoded: str) -> bytes | None:
    data = encoded.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data + b"===")
    except binascii.Error:
        return None
