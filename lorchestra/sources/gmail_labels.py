"""From the labels that Google Takeout writes to the label ids of the Gmail API.

Takeout names the labels of a message in one header, X-Gmail-Labels, separated by commas, names with commas in
double quotes, and Gmail's own labels in the language of the account.
"""

import csv
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from lorchestra.sources.mail_text import header_text

# With a comma, as no label of Gmail's has one.
_STATES = frozenset({",OPENED", ",ARCHIVED", ",ALL_MAIL"})
_OPENED = ",OPENED"
_NOT_RECEIVED = frozenset({"SENT", "DRAFT"})
_QUOTES = re.compile('["\u201c\u201d\u201e\u00ab\u00bb]')
_APOSTROPHE = "\u2019"
_SPACES = re.compile(r"\s+")


def takeout_label_ids(values: Sequence[str]) -> list[str]:
    """The label ids of a Takeout message by its X-Gmail-Labels, in the order of its labels, each once.

    A label of Gmail's own becomes its id (`Inbox` is INBOX, in any language known here), a user's label stays
    as it is named. `Opened` and `Archived` are no labels but the absence of UNREAD and INBOX, and fall away.
    A message whose labels hold neither `Unread` nor `Opened` is UNREAD, unless it is SENT or a DRAFT. A
    message without the header has no labels.
    """
    if not values:
        return []
    ids: dict[str, None] = {}
    opened, known = False, _label_ids()
    for label in _split(",".join(header_text(value) for value in values)):
        label_id = known.get(label) or known.get(_comparable(label), label)
        opened = opened or label_id == _OPENED
        if label_id not in _STATES:
            ids[label_id] = None
    if not opened and _NOT_RECEIVED.isdisjoint(ids):
        ids["UNREAD"] = None
    return list(ids)


def _split(labels: str) -> list[str]:
    try:
        rows = list(csv.reader([labels], skipinitialspace=True))
    except csv.Error:
        rows = [labels.split(",")]
    return [name.strip() for row in rows for name in row if name.strip()]


@cache
def _label_ids() -> dict[str, str]:
    table = tomllib.loads(files("lorchestra.sources").joinpath("gmail_labels.toml").read_text("utf-8"))
    return {_comparable(name): label for name, label in _named(table)}


def _named(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for label, names in table["labels"].items():
        yield label, label
        yield from ((name, label) for name in names)
    for state, names in table["states"].items():
        yield from ((name, f",{state}") for name in names)
    for label, names in table["categories"]["names"].items():
        yield label, label
        yield from ((f"{word} {name}", label) for word in table["categories"]["words"] for name in names)


def _comparable(name: str) -> str:
    """`Kategorie: "Soziale Medien"`, `Catégorie\N{NO-BREAK SPACE}: Réseaux sociaux`: less what varies."""
    bare = _QUOTES.sub("", unicodedata.normalize("NFC", name)).replace(_APOSTROPHE, "'").replace(":", " ")
    return _SPACES.sub(" ", bare).strip()
