"""Templates: where what was read becomes HTML, every value escaped."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from lorchestra.spans import span
from lorchestra.web.reading import now

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


def environment(*, standalone: bool = False) -> Environment:
    """The templates; those of a file that stands alone have no links and bring their style with them."""
    made = Environment(
        loader=PackageLoader("lorchestra.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        age=_age, count=_count, moment=_moment, path=_path, plain=_plain, pretty=_pretty, seconds=_seconds
    )
    made.globals.update(standalone=standalone, now=now)
    # Compiled now, and not while somebody waits for a page.
    for name in made.list_templates():
        made.get_template(name)
    return made


def _moment(value: datetime | date | None) -> str:
    if value is None:
        return "never"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else f"{value:%Y-%m-%d}"


def _age(value: datetime | None) -> str:
    return "never" if value is None else f"{span(max(0.0, (now() - value).total_seconds()))} ago"


def _seconds(value: float | None) -> str:
    return "-" if value is None else span(value)


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _path(value: str) -> str:
    """A part of the path of a URL."""
    return quote(value, safe="")


def _plain(value: object) -> str:
    """Text without characters that are not shown, such as those that turn the direction of what follows."""
    return "".join(char if char.isprintable() or char in "\n\t" else _UNREADABLE for char in str(value))


def _pretty(value: Mapping[str, Any] | Any) -> str:
    """JSON, indented."""
    # Other people's events may be nested deeply or have large integers, which orjson refuses.
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
