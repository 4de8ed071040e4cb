"""A Takeout export comes with the ids and labels that the Gmail API gives the same messages."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.model import Record, Window
from lorchestra.sources.base import SourceContext
from lorchestra.sources.gmail_labels import takeout_label_ids
from lorchestra.sources.takeout import TAKEOUT

One = Callable[..., dict[str, Any]]
FROM = b"From 1404382503986739328@xxx Thu Aug 29 13:51:12 +0000 2002"


def labels(header: str) -> list[str]:
    return takeout_label_ids([header])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Inbox,Opened", ["INBOX"]),
        ("Inbox,Unread", ["INBOX", "UNREAD"]),
        ("Inbox,Important,Opened,Category Personal", ["INBOX", "IMPORTANT", "CATEGORY_PERSONAL"]),
        ("Inbox,Category Updates,Unread", ["INBOX", "CATEGORY_UPDATES", "UNREAD"]),
        ("Archived,Important,Opened", ["IMPORTANT"]),
        ("Archived,Category Promotions", ["CATEGORY_PROMOTIONS", "UNREAD"]),
        ("Category Social,Category Forums,Starred,Opened", ["CATEGORY_SOCIAL", "CATEGORY_FORUMS", "STARRED"]),
        ("Sent", ["SENT"]),
        ("Archived,Sent", ["SENT"]),
        ("Sent,Unread", ["SENT", "UNREAD"]),
        ("Drafts", ["DRAFT"]),
        ("Spam", ["SPAM", "UNREAD"]),
        ("Trash,Opened", ["TRASH"]),
        ("Chat,Opened", ["CHAT"]),
        ("Opened", []),
        ("", ["UNREAD"]),
        ("Inbox, Opened , ,Inbox", ["INBOX"]),
        ("INBOX,UNREAD,CATEGORY_UPDATES", ["INBOX", "UNREAD", "CATEGORY_UPDATES"]),
        ('Opened,"Lists, old",Parent/Child', ["Lists, old", "Parent/Child"]),
        ('Opened,"say ""hello"""', ['say "hello"']),
        ('Opened,"never closed', ["never closed"]),
        ("Opened,inbox,Work", ["inbox", "Work"]),
        ("=?UTF-8?Q?Re=C3=A7us,Inbox?=", ["Reçus", "INBOX", "UNREAD"]),
        ('=?UTF-8?Q?Ouvert,"Arts,_=C3=A9v=C3=A9nements"?=', ["Arts, événements"]),
        ("=?UTF-8?B?w5xiZXIgdW5z?=,Sent", ["Über uns", "SENT"]),
        ("Inbox,=?UTF-8?Q?Kunden/=C3=9Cbung?=,Opened", ["INBOX", "Kunden/Übung"]),
        (
            "=?UTF-8?Q?Archivov=C3=A1no,Kategorie:_Soci=C3=A1?=\r\n =?UTF-8?Q?ln=C3=AD_s=C3=ADt=C4=9B,C?=",
            ["CATEGORY_SOCIAL", "C", "UNREAD"],
        ),
        (
            "=?UTF-8?Q?Ouvert,Cat=C3=A9gorie=C2=A0:_E-mails_?=\n =?UTF-8?Q?personnels?=",
            ["CATEGORY_PERSONAL"],
        ),
        (
            "=?UTF-8?Q?Posteingang,Wichtig,Ungelesen,Kategorie:_=22Neuigkeiten=22?=",
            ["INBOX", "IMPORTANT", "UNREAD", "CATEGORY_UPDATES"],
        ),
        ('Posteingang,Geöffnet,"Kategorie: ""Soziale Medien"""', ["INBOX", "CATEGORY_SOCIAL"]),
        ("Boîte de réception,Non lus,Catégorie : Mises à jour", ["INBOX", "UNREAD", "CATEGORY_UPDATES"]),
        ("Boi\u0302te de réception,Ouvert", ["INBOX"]),
        ("Envoyé,Archivés", ["SENT"]),
        ("Recibidos,No leídos,Destacados,Papelera", ["INBOX", "UNREAD", "STARRED", "TRASH"]),
        ("Safata d\u2019entrada,Oberts", ["INBOX"]),
        ("Posta in arrivo,Da leggere,Categoria: Promozioni", ["INBOX", "UNREAD", "CATEGORY_PROMOTIONS"]),
        ("Caixa de entrada,Abertas,Categoria: Atualizações", ["INBOX", "CATEGORY_UPDATES"]),
        ("Postvak IN,Ongelezen,Gearchiveerd,Concepten", ["INBOX", "UNREAD", "DRAFT"]),
        ("Входящие,Непрочитанные", ["INBOX", "UNREAD"]),
    ],
)
def test_labels_become_the_ids_of_the_api(header: str, expected: list[str]) -> None:
    value = header.encode().decode("ascii", "surrogateescape")
    assert labels(value) == expected


@given(st.text())
def test_any_labels_are_taken(header: str) -> None:
    ids = labels(header.encode("utf-8", "replace").decode("ascii", "surrogateescape"))
    assert len(set(ids)) == len(ids)


def test_a_message_without_labels_has_none() -> None:
    assert takeout_label_ids([]) == []


def test_ids_are_the_decimal_numbers_in_hexadecimal(message: One) -> None:
    found = message(
        b"X-GM-THRID: 1403026774912287708\r\nX-Gmail-Labels: Inbox,Opened\r\n\r\n", "takeout", FROM
    )
    assert found["id"] == "137d5e7256e73880" == format(1404382503986739328, "x")
    assert found["threadId"] == format(1403026774912287708, "x")
    assert found["labelIds"] == ["INBOX"]
    assert TAKEOUT.idem_key_fn("tap-gmail--acct1")(found) == "tap-gmail--acct1:email:137d5e7256e73880"


def test_the_headers_of_takeout_stay_with_the_others(message: One) -> None:
    found = message(b"X-GM-THRID: 1\nX-Gmail-Labels: Inbox\nA: b\n\n", "takeout", FROM)
    assert [header["name"] for header in found["payload"]["headers"]] == ["X-GM-THRID", "X-Gmail-Labels", "A"]


@pytest.mark.parametrize(
    "line", [b"From a@example.com Thu Aug 29 13:51:12 2002", FROM.replace(b"1404", b"99999")]
)
def test_a_message_without_a_number_is_known_by_its_hash(message: One, line: bytes) -> None:
    content = b"X-GM-THRID: none\nSubject: x\n\nbody\n"
    found = message(content, "takeout", line)
    assert found["id"] == found["threadId"] == hashlib.sha256(content).hexdigest()


def test_the_sample_is_read_whole(sample: Path) -> None:
    source = TAKEOUT.open(TAKEOUT.options(path=sample.name), SourceContext(base=sample.parent))
    found = [item.data for item in source.records(Window(), None) if isinstance(item, Record)]
    numbers = re.findall(rb"(?m)^From (\d+)@xxx", sample.read_bytes())
    assert [data["id"] for data in found] == [format(int(number), "x") for number in numbers]
    assert len(set(numbers)) == len(found) == 220
    assert all(data["labelIds"] and "internalDate" in data and "payload" in data for data in found)
    assert not any("_lorchestra" in data for data in found)
    known = {label for data in found for label in data["labelIds"]}
    assert known >= {"INBOX", "UNREAD", "SENT", "SPAM", "DRAFT", "STARRED", "IMPORTANT", "CATEGORY_UPDATES"}
