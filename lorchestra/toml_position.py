"""On which line of a TOML text a key stands, which `tomllib` does not tell.

Only for texts that `tomllib` has accepted: the scan relies on the grammar being kept.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KeyPath = tuple[str, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED_KEY = re.compile(r""""(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_SPACES = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# A multi-line string may end in up to two quotes of its own before the three that close it.
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*\'''',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyLines:
    """The line of every key of a text; items of arrays have their index as key (`"0"`)."""

    lines: Mapping[KeyPath, int]

    def line(self, keys: Sequence[str]) -> int:
        """The line of this key, counted from 1; of the nearest key around it when it is not there."""
        for length in range(len(keys), 0, -1):
            found = self.lines.get(tuple(keys[:length]))
            if found is not None:
                return found
        return 1


def key_lines(text: str) -> KeyLines:
    """The lines of all keys of a valid TOML text. A table's line is that of its header.

    A table without a header of its own has the line of the first key or header that implies it.
    """
    return KeyLines(lines=_Scan(text).lines())


def dotted(keys: Sequence[str]) -> str:
    """The key path as one would write it in TOML: `jobs."a b".path`."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else _quoted(key) for key in keys)


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in escaped) + '"'


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        # As tomllib does; only so are its line numbers and ours the same.
        self._text = text.replace("\r\n", "\n")
        self._pos = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        self._lines: dict[KeyPath, int] = {}
        self._array_sizes: dict[KeyPath, int] = {}

    def lines(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._pos < len(self._text):
            if self._text.startswith("[[", self._pos):
                table = self._array_header()
            elif self._at("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> KeyPath:
        line = self._line()
        self._pos += 1
        path = self._resolved(self._key())
        self._pos += 1
        self._record(path, line, implied=False)
        return path

    def _array_header(self) -> KeyPath:
        line = self._line()
        self._pos += 2
        keys = self._key()
        self._pos += 2
        path = (*self._resolved(keys[:-1]), keys[-1])
        index = self._array_sizes.get(path, 0)
        self._array_sizes[path] = index + 1
        item = (*path, str(index))
        self._record(item, line, implied=False)
        return item

    def _resolved(self, keys: KeyPath) -> KeyPath:
        """The path with the last item of every array of tables on the way put in."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in self._array_sizes:
                path = (*path, str(self._array_sizes[path] - 1))
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = (*table, *self._key())
        self._record(path, line, implied=False)
        self._pos += 1
        self._skip(_SPACES)
        self._value(path)

    def _key(self) -> KeyPath:
        """A dotted key, read up to the `=` or `]` behind it."""
        keys: list[str] = []
        while True:
            self._skip(_SPACES)
            if self._at('"') or self._at("'"):
                keys.append(tomllib.loads(f"key = {self._skip(_QUOTED_KEY)}")["key"])
            else:
                keys.append(self._skip(_BARE_KEY))
            self._skip(_SPACES)
            if not self._at("."):
                return tuple(keys)
            self._pos += 1

    def _value(self, path: KeyPath) -> None:
        if self._at("{"):
            self._items(path, end="}")
        elif self._at("["):
            self._items(path, end="]")
        elif self._at('"') or self._at("'"):
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _items(self, path: KeyPath, *, end: str) -> None:
        """The items of an array or the pairs of an inline table."""
        self._pos += 1
        index = 0
        self._skip(_BLANK)
        while not self._at(end):
            if self._pos >= len(self._text):
                raise ValueError("text: not valid TOML")
            if end == "}":
                self._pair(path)
            else:
                self._record((*path, str(index)), self._line(), implied=False)
                self._value((*path, str(index)))
                index += 1
            self._skip(_BLANK)
            if self._at(","):
                self._pos += 1
                self._skip(_BLANK)
        self._pos += 1

    def _record(self, path: KeyPath, line: int, *, implied: bool) -> None:
        if implied:
            self._lines.setdefault(path, line)
        else:
            self._lines[path] = line
        if len(path) > 1:
            self._record(path[:-1], line, implied=True)

    def _line(self) -> int:
        return bisect_right(self._line_starts, self._pos)

    def _at(self, mark: str) -> bool:
        return self._text.startswith(mark, self._pos)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._pos)
        if match is None:
            raise ValueError("text: not valid TOML")
        self._pos = match.end()
        return match[0]
