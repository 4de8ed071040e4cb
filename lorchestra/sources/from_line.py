"""The `From ` line that stands before each message of an mbox file (RFC 4155, appendix A).

No rule tells such a line from a sentence of a body with certainty, because many programs that write mbox
files do not quote. The rules here ask for more than the five characters:

- after an empty line: a full date at its end (asctime order, or that of RFC 5322, zone before or after the
  year); or else a time of day, or one word alone, with a header field on the next line;
- without an empty line before it: a full date, and a header field on the next line.
"""

import re

from lorchestra.sources.mail_dates import parse_mail_date

_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = rb"\d{1,2}:\d\d(?::\d\d)?"
_ZONE = rb"(?:[+-]\d{4}|[A-Z][A-Za-z]{0,4})"
_TAIL = rb"(?:\s+\([^)]*\))?(?:\s+remote\s+from\s.*)?\s*$"
# Thu Aug 22 12:36:23 2002, Thu Aug 22 12:36:23 CEST 2002, Thu Aug 22 12:36:23 2002 +0200
_ASCTIME = re.compile(
    rb"\s(?P<month>%b)\s+(?P<day>\d{1,2})\s+(?P<time>%b)(?:\s+(?P<zone>%b))?\s+(?P<year>\d{4})"
    rb"(?:\s+(?P<zone_after>%b))?%b" % (_MONTH, _TIME, _ZONE, _ZONE, _TAIL)
)
# 22 Aug 2002 12:36:23 +0200
_RFC5322 = re.compile(
    rb"\s(?P<day>\d{1,2})\s+(?P<month>%b)\s+(?P<year>\d{4})\s+(?P<time>%b)(?:\s+(?P<zone>%b))?%b"
    % (_MONTH, _TIME, _ZONE, _TAIL)
)
_TIME_OF_DAY = re.compile(rb"\s%b\b" % _TIME)
_ONE_WORD = re.compile(rb"From \S+\s*$")
# A field name is printable ASCII without the colon (RFC 5322, 2.2); an address of the web is none.
_HEADER_FIELD = re.compile(rb"(?:[!-9;-~]+[ \t]*:(?!//)|>From )")


def is_separator(line: bytes, *, after_empty_line: bool, next_line: bytes) -> bool:
    """Whether this line, which begins with `From `, begins a message."""
    if _dated(line):
        return after_empty_line or _HEADER_FIELD.match(next_line) is not None
    if not after_empty_line or not _HEADER_FIELD.match(next_line):
        return False
    return _TIME_OF_DAY.search(line) is not None or _ONE_WORD.match(line) is not None


def from_line_date(line: bytes) -> int | None:
    """The line's date in epoch milliseconds; without a zone it is UTC, as RFC 4155 has it."""
    date = _dated(line)
    if date is None:
        return None
    parts = date.groupdict()
    zone = parts.get("zone") or parts.get("zone_after") or b""
    text = b" ".join([parts["day"], parts["month"], parts["year"], parts["time"], zone])
    return parse_mail_date(text.decode("ascii"))


def _dated(line: bytes) -> re.Match[bytes] | None:
    return _ASCTIME.search(line) or _RFC5322.search(line)
