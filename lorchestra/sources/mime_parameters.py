"""What Content-Type and Content-Disposition say, where they are written as the standards have them.

The grammar here is narrow on purpose: within it a value has one reading, and it is the email package's. For
any other value there is none, and the package is asked.
"""

import re

_WORD = r"[A-Za-z0-9!#$&^_.+-]++"
_SPACE = r"[ \t\r\n]*+"
_NAME = r"[A-Za-z0-9_-]++"
# Printable ASCII without what the email package takes off, unescapes or ends a parameter at.
_QUOTED = r'"[ !#-:=?-\[\]-~]*+"'
_BARE = r"[!#-:=?-\[\]-~]++"
_VALUE = re.compile(
    rf"({_WORD}(?:/{_WORD})?+)((?:{_SPACE};{_SPACE}{_NAME}=(?:{_QUOTED}|{_BARE}))*+){_SPACE};?{_SPACE}"
)
_PARAMETER = re.compile(rf'({_NAME})=(?:"([^"]*)"|({_BARE}))')

Parameters = dict[str, str]


def parameters(value: str) -> tuple[str, Parameters] | None:
    """The value before the first semicolon in lower case, and its parameters, the first of each name."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    named: Parameters = {}
    if found[2]:
        for name, quoted, bare in _PARAMETER.findall(found[2]):
            named.setdefault(name.lower(), quoted or bare)
    return found[1].lower(), named
