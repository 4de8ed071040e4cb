"""A part of a message whose headers are in order."""

from collections.abc import Iterator
from email.message import Message

from lorchestra.sources.mime_parameters import Parameters, parameters
from lorchestra.sources.transfer_encoding import Body, decoded

_ENCODING = "content-transfer-encoding"
_WITH_PARAMETERS = frozenset({"content-type", "content-disposition"})

HeaderFields = list[tuple[str, str]]


class Part:
    """Read by the methods of the email package's `Message` that are used of one, with the same results.

    `names` are those of the fields, a line each. `is_plain` says that no value has encoded words, 8-bit bytes
    or NUL. `parts` are those of a multipart, or the message of a message/rfc822; what has none has a `body`.
    `unusual` has the two headers with parameters where only the email package can read them.
    """

    __slots__ = (
        "_disposition",
        "_kind",
        "_names",
        "_parameters",
        "body",
        "fields",
        "is_plain",
        "parts",
        "unusual",
    )

    def __init__(self, fields: HeaderFields, names: str, *, is_plain: bool) -> None:
        self.fields = fields
        self.is_plain = is_plain
        self.body = b""
        self.parts: list[Part] | None = None
        self.unusual: Message[str, str] | None = None
        self._names = names.lower().split("\n")
        self._kind = "text/plain"
        self._parameters: Parameters = {}
        self._disposition: Parameters = {}

    def read_parameters(self) -> None:
        """Read what the headers say of the content; to be called before it is asked for."""
        kind, disposition = self.topmost("content-type"), self.topmost("content-disposition")
        typed = parameters(kind) if kind is not None else (self._kind, self._parameters)
        disposed = parameters(disposition) if disposition is not None else ("", self._disposition)
        if typed and disposed and "/" in typed[0]:
            self._kind, self._parameters = typed
            self._disposition = disposed[1]
            return
        self.unusual = Message()
        for name, value in self.fields:
            if name.lower() in _WITH_PARAMETERS:
                self.unusual.set_raw(name, value)

    def values(self, name: str) -> list[str]:
        """Those of all of them."""
        if name not in self._names:
            return []
        return [value for lower, (_, value) in zip(self._names, self.fields, strict=True) if lower == name]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Every header in order, as it stands."""
        return iter(self.fields)

    def get_content_type(self) -> str:
        """Type and subtype in lower case."""
        return self._kind if self.unusual is None else self.unusual.get_content_type()

    def get_boundary(self) -> str | None:
        """What separates the parts."""
        if self.unusual is not None:
            return self.unusual.get_boundary()
        boundary = self._parameters.get("boundary")
        return None if boundary is None else boundary.rstrip()

    def get_content_charset(self) -> str | None:
        """The charset of a text, in lower case."""
        if self.unusual is not None:
            return self.unusual.get_content_charset()
        charset = self._parameters.get("charset")
        return None if charset is None else charset.lower()

    def get_filename(self) -> str | None:
        """The name of an attachment, by either of the two headers that may tell it."""
        if self.unusual is not None:
            return self.unusual.get_filename()
        name = self._disposition.get("filename", self._parameters.get("name"))
        return None if name is None else name.strip()

    def is_multipart(self) -> bool:
        """Whether there are parts in it."""
        return self.parts is not None

    def decoded(self) -> Body:
        """The body with its transfer encoding undone."""
        return decoded(self.body, self.topmost(_ENCODING) or "")

    def topmost(self, name: str) -> str | None:
        """The value of the first header of this name, which is in lower case."""
        return self.fields[self._names.index(name)][1] if name in self._names else None
