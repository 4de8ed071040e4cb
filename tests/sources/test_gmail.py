"""What is Gmail's own: formats, attachments, what is selected, and how far back."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lorchestra.errors import SourceUnreadableError
from lorchestra.model import Window
from lorchestra.sources.gmail import GMAIL
from tests.gmail.front import Fault, answer, gmail_service, rewrite
from tests.gmail.mailbox import made_mail, made_messages, takeout_messages
from tests.sources.api_case import Table, dates, read
from tests.sources.gmail_case import GMAIL_CASE, ServedMailbox, served_mailbox

COUNT = 12
NOW = datetime.now(UTC)
PDF = bytes(range(256)) * 12


@pytest.fixture(autouse=True)
def _constants(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GMAIL_CASE.constants.items():
        monkeypatch.setattr(name, value)


@pytest.fixture
def mailbox() -> Iterator[ServedMailbox]:
    """Twelve messages on three pages."""
    with served_mailbox(dates(COUNT)) as mailbox:
        yield mailbox


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """An empty table."""
    return Table(GMAIL_CASE, tmp_path / "table.duckdb")


def records(mailbox: ServedMailbox, **options: Any) -> dict[str, dict[str, Any]]:
    """All messages, by a reading that knows of nothing."""
    return read(GMAIL_CASE.open(mailbox, **options)).records


def mail_from(mailbox: ServedMailbox, sender: int, *, date: datetime | None = None) -> str:
    """A message of one of the senders arrives."""
    arrived = date or datetime.now(UTC)
    return mailbox.service.insert(made_mail(sender, arrived), internal_date=arrived)


# Formats and attachments


def test_raw_is_the_message_byte_for_byte() -> None:
    held = takeout_messages()[:40]
    with gmail_service(held) as service:
        found = records(ServedMailbox(service, 0), format="raw", include_spam_trash=True)
    assert {one: urlsafe_b64decode(data["raw"]) for one, data in found.items()} == {
        message.id: message.raw for message in held
    }


@pytest.mark.parametrize(("message_format", "has_body"), [("full", True), ("metadata", False)])
def test_full_has_headers_and_bodies_and_metadata_has_headers(
    mailbox: ServedMailbox, message_format: str, has_body: bool
) -> None:
    for message in records(mailbox, format=message_format).values():
        names = {header["name"] for header in message["payload"]["headers"]}
        assert {"From", "Subject", "Date"} <= names
        assert ("data" in message["payload"].get("body", {})) is has_body
        assert "raw" not in message


def attachment_of(message: dict[str, Any]) -> dict[str, Any]:
    [part] = [part for part in message["payload"]["parts"] if part["filename"] == "made.pdf"]
    return dict(part)


@pytest.mark.parametrize("too_large_by", [0, 1])
def test_an_attachment_is_in_its_part_unless_it_is_too_large(too_large_by: int) -> None:
    with gmail_service(made_messages(3, attachment=PDF)) as service:
        mailbox = ServedMailbox(service, 3)
        bound = len(PDF) - too_large_by
        found = records(mailbox, attachments=True, attachment_bytes_max=bound)
        fetched = len(service.seen("GET", r"/attachments/"))
    assert len(found) == 3
    for message in found.values():
        part = attachment_of(message)
        if too_large_by:
            assert "data" not in part["body"]
            [left_out] = message["_lorchestra"]["left_out"]
            assert left_out == {
                "partId": part["partId"],
                "filename": "made.pdf",
                "mimeType": "application/pdf",
                "size": len(PDF),
            }
            assert message["_lorchestra"]["left_out_bytes"] == len(PDF)
        else:
            assert "attachmentId" not in part["body"]
            assert urlsafe_b64decode(part["body"]["data"] + "==") == PDF
            assert "_lorchestra" not in message
    assert fetched == (0 if too_large_by else 3)


def test_a_message_is_not_lost_for_an_attachment_that_is_not_found() -> None:
    with gmail_service(made_messages(2, attachment=PDF)) as service:
        service.fail(Fault(method="GET", path="/attachments/", action=answer(404, {"error": {"code": 404}})))
        found = records(ServedMailbox(service, 2), attachments=True)
    assert len(found) == 2
    left_out = [message["_lorchestra"]["left_out"] for message in found.values() if "_lorchestra" in message]
    assert [[one["filename"] for one in named] for named in left_out] == [["made.pdf"]]


def test_attachments_stay_where_they_are_unless_they_are_asked_for() -> None:
    with gmail_service(made_messages(2, attachment=PDF)) as service:
        found = records(ServedMailbox(service, 2))
        assert service.seen("GET", r"/attachments/") == []
    assert all("data" not in attachment_of(message)["body"] for message in found.values())


def test_real_mail_has_its_attachments_as_they_were_sent() -> None:
    held = [m for m in takeout_messages() if b"Content-Disposition: attachment" in m.raw][:10]
    with gmail_service(held) as service:
        mailbox = ServedMailbox(service, 0)
        found = records(mailbox, attachments=True, include_spam_trash=True)
    compared = 0
    for message in held:
        sent = {
            part.get_filename(): part.get_payload(decode=True)
            for part in message_from_bytes(message.raw).walk()
            if part.get_content_disposition() == "attachment" and part.get_filename()
        }
        for part in found[message.id]["payload"].get("parts", ()):
            if (content := sent.get(part["filename"])) is not None:
                # The stand-in does without white space at the end.
                given = urlsafe_b64decode(part["body"]["data"] + "==")
                assert given.rstrip() == content.rstrip()
                compared += 1
    assert compared >= 4


# What is selected


@pytest.mark.parametrize("named", ["Receipts", "Label_7"])
def test_labels_are_given_by_name_or_id_and_a_message_has_all_of_them(table: Table, named: str) -> None:
    labels = [("INBOX",), ("INBOX", "Label_7"), ("Label_7",)]
    held = [m for n, ids in enumerate(labels) for m in made_messages(2, first_number=9 * n, label_ids=ids)]
    with gmail_service(held) as service:
        names = rewrite(lambda found: {"labels": [*found["labels"], {"id": "Label_7", "name": "Receipts"}]})
        service.fail(Fault(method="GET", path="/labels", action=names, times=99))
        mailbox = ServedMailbox(service, 6)
        first = table.sync(mailbox, labels=[named, "INBOX"]).records
        assert first.keys() == {message.id for message in held[2:4]}
        service.modify(held[0].id, add=["Label_7"])
        service.modify(held[4].id, add=["STARRED"])
        assert table.sync(mailbox, labels=[named, "INBOX"]).records.keys() == {held[0].id}


@pytest.mark.parametrize("wanted", [True, False])
def test_spam_and_trash_come_where_they_are_wanted(table: Table, wanted: bool) -> None:
    labels = [("INBOX",), ("SPAM",), ("TRASH",)]
    held = [m for n, ids in enumerate(labels) for m in made_messages(1, first_number=n, label_ids=ids)]
    with gmail_service(held) as service:
        mailbox = ServedMailbox(service, 3)
        first = table.sync(mailbox, include_spam_trash=wanted).records
        assert len(first) == (3 if wanted else 1)
        later = {label: service.insert(made_mail(8, NOW), labels=[label]) for label in ("INBOX", "SPAM")}
        expected = set(later.values()) if wanted else {later["INBOX"]}
        assert table.sync(mailbox, include_spam_trash=wanted).records.keys() == expected


def test_a_search_selects_what_is_there_and_what_comes_later(mailbox: ServedMailbox, table: Table) -> None:
    q = "from:sender7@example.com"
    [first] = table.sync(mailbox, q=q).records.values()
    assert {"name": "Subject", "value": "Message 7"} in first["payload"]["headers"]
    wanted = {mail_from(mailbox, 7), mail_from(mailbox, 57), mail_from(mailbox, 7, date=dates(1)[0])}
    mail_from(mailbox, 8)
    mail_from(mailbox, 8, date=dates(1)[0])
    second = table.sync(mailbox, q=q)
    assert second.records.keys() == wanted
    assert table.sync(mailbox, q=q).records == {}
    assert "sender7" not in repr(second.next_cursor) + repr(second.telemetry)


def test_another_search_is_another_piece_of_the_mailbox(mailbox: ServedMailbox, table: Table) -> None:
    assert len(table.sync(mailbox, q="from:sender7@example.com").records) == 1
    mailbox.forget_calls()
    assert len(table.sync(mailbox).records) == COUNT - 1
    assert mailbox.fetches().total() == COUNT - 1


def test_a_search_with_or_is_narrowed_by_a_window_as_a_whole(mailbox: ServedMailbox) -> None:
    # The stand-in does not know OR; what it is asked for shows in its log.
    refused = answer(400, {"error": {"code": 400, "message": "Invalid q: a@example.com"}})
    mailbox.service.fail(Fault(method="GET", path=r"/messages\?", action=refused))
    source = GMAIL_CASE.open(mailbox, q="from:a@example.com OR from:b")
    with pytest.raises(
        SourceUnreadableError, match=r"^endpoint: finds messages\.list wrong: http_400$"
    ) as raised:
        read(source, window=Window(since=dates(1)[0]))
    assert "q and labels" in str(raised.value.next_step)
    [listing] = mailbox.service.seen("GET", r"/messages$")
    assert listing.query["q"][0].startswith("(from:a@example.com OR from:b) after:")


# How far back


def test_a_backfill_that_is_widened_fetches_what_is_missing_alone(table: Table) -> None:
    days_ago = [1, 30, 89, 91, 200, 4_000]
    with served_mailbox(NOW - timedelta(days=days) for days in days_ago) as mailbox:
        ids = sorted(records(mailbox), reverse=True)
        steps: list[tuple[str | None, list[str]]] = [
            ("90d", ids[:3]),
            ("90d", []),
            ("52w", ids[3:5]),
            ("10d", []),
            (None, ids[5:]),
            ("90d", []),
        ]
        for backfill, expected in steps:
            mailbox.forget_calls()
            options = {} if backfill is None else {"backfill": backfill}
            assert table.sync(mailbox, **options).records.keys() == set(expected)
            assert mailbox.fetches().keys() == set(expected)
        late = mail_from(mailbox, 3, date=NOW - timedelta(days=400))
        assert table.sync(mailbox, backfill="90d").records.keys() == {late}


WRONG = [
    ("format", {"format": "eml"}),
    ("attachments", {"attachments": True, "format": "raw"}),
    ("attachment_bytes_max", {"attachment_bytes_max": -1}),
    ("labels", {"labels": [""]}),
    ("backfill", {"backfill": "soon"}),
    ("backfill", {"backfill": "2024-13-01"}),
    ("backfill", {"backfill": "99999999w"}),
    ("quota", {"quota": "lots"}),
    ("quota_units_per_minute", {"quota_units_per_minute": 0}),
    ("endpoint", {"endpoint": "http://example.com"}),
    ("subject", {"service_account": "key.json"}),
    ("account", {"account": "a b"}),
]


@pytest.mark.parametrize(("option", "options"), WRONG)
def test_a_wrong_option_is_refused_by_its_name(option: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        GMAIL.options(**options)
    [error] = raised.value.errors()
    assert option in {*map(str, error["loc"]), *re.findall(r"\w+", error["msg"])}
