"""Bars as SVG.

Thousands of them stand on a page, so no template makes them. What is said in them is escaped.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup, escape

from lorchestra.web.marks import STRIP_HEIGHT, STRIP_WIDTH, Bar

#: The address that looks closer at a time.
Closer = Callable[[datetime], str]


def run_address(run_id: str) -> str:
    """Where a run is shown."""
    return "/run?id=" + quote(run_id, safe="")


def strip_svg(bars: Sequence[Bar], text: str, *, linked: bool) -> Markup:
    """The strip of a job; each bar leads to its run where it is `linked`."""
    drawn = "".join(_bar(bar, "", run_address(bar.run_id or "") if linked else None) for bar in bars)
    return Markup(  # noqa: S704 - made of numbers and of what is escaped
        f'<svg class="strip" viewBox="0 0 {STRIP_WIDTH} {STRIP_HEIGHT}" width="{STRIP_WIDTH}" '
        f'height="{STRIP_HEIGHT}" role="{"group" if linked else "img"}" aria-label="{escape(text)}">'
        f"{drawn}</svg>"
    )


def lane_svg(bars: Sequence[Bar], closer: Closer | None) -> Markup:
    """The bars of a job on the timeline; several in one lead closer; without `closer` none leads anywhere."""
    drawn = []
    for bar in bars:
        address = None
        if closer is not None:
            address = run_address(bar.run_id) if bar.run_id is not None else closer(bar.at)
        drawn.append(_bar(bar, "%", address))
    return Markup("".join(drawn))  # noqa: S704 - the same


def _bar(bar: Bar, unit: str, address: str | None) -> str:
    rect = (
        f'<rect class="{escape(bar.state)}" x="{bar.x}{unit}" y="{bar.y}" width="{bar.width}{unit}" '
        f'height="{bar.height}"'
    )
    title = f"<title>{escape(bar.text)}</title>"
    if address is None:
        return f"{rect}>{title}</rect>"
    # The keyboard reaches runs through the listings: hundreds of stops would help nobody.
    return f'<a href="{escape(address)}" tabindex="-1">{title}{rect}/></a>'
