"""The stand-in does what its docstrings say, seen by a client of HTTP."""

import base64
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.gmail.client import Client, error_of
from tests.gmail.front import (
    Fault,
    GmailService,
    answer,
    cut_before,
    delay,
    gmail_service,
    google_error,
    lose_answer,
    rewrite,
)
from tests.gmail.mailbox import epoch_ms, made_mail, made_messages, takeout_messages

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
MADE = list(made_messages(12, first_date=FIRST, step=timedelta(hours=1), attachment=b"%PDF" * 500))
MESSAGES = r"/messages$"


@pytest.fixture(scope="module")
def shared() -> Iterator[GmailService]:
    with gmail_service(takeout_messages() + MADE) as service:
        yield service


@pytest.fixture
def service(shared: GmailService) -> GmailService:
    """For tests that leave the mailbox as it was."""
    shared.reset_log()
    return shared


@pytest.fixture
def client(service: GmailService) -> Client:
    return Client(service)


def test_the_mailbox_holds_the_messages_of_the_takeout_file(client: Client) -> None:
    for message in takeout_messages()[::20]:
        found = client.found(f"/messages/{message.id}", format="raw")
        assert base64.urlsafe_b64decode(found["raw"]) == message.raw
        assert found["internalDate"] == str(epoch_ms(message.internal_date))
        assert found["threadId"] == message.thread_id
        assert found["labelIds"] == list(message.label_ids)
        assert abs(found["sizeEstimate"] - len(message.raw)) <= 2


def test_a_takeout_message_is_without_what_takeout_added() -> None:
    messages = takeout_messages()
    assert len({message.id for message in messages}) == 220
    heads = [message.raw.partition(b"\n\n")[0] for message in messages]
    assert not [head for head in heads if b"X-GM-THRID" in head or b"X-Gmail-Labels" in head]
    assert any(b"\nFrom here on the text was added" in message.raw for message in messages)


def test_pages_list_every_message_once(client: Client) -> None:
    ids: list[str] = []
    query: dict[str, Any] = {"maxResults": 100, "includeSpamTrash": "true"}
    while True:
        page = client.found("/messages", **query)
        ids += [message["id"] for message in page["messages"]]
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert sorted(ids) == sorted(message.id for message in takeout_messages() + MADE)


def test_times_in_a_query_are_epoch_seconds_and_go_with_other_terms(client: Client) -> None:
    after, before = int(MADE[2].internal_date.timestamp()), int(MADE[6].internal_date.timestamp())
    expected = [message.id for message in reversed(MADE[3:6])]
    assert client.ids(q=f"after:{after} before:{before}") == expected
    assert client.ids(q=f"after:{after} before:{before} in:inbox -in:spam has:attachment") == expected
    assert client.ids(q=f"after:{after} before:{before} in:sent") == []
    assert client.found("/messages", q="from:nobody") == {"resultSizeEstimate": 0}


def test_a_day_in_a_query_begins_at_midnight_in_california(client: Client) -> None:
    assert client.ids(q="after:2026/03/01 before:2026/03/02") == [m.id for m in reversed(MADE[9:])]


def test_an_attachment_is_had_by_its_id(client: Client) -> None:
    payload = client.found(f"/messages/{MADE[0].id}")["payload"]
    attachment_id = payload["parts"][1]["body"]["attachmentId"]
    data = client.found(f"/messages/{MADE[0].id}/attachments/{attachment_id}")["data"]
    assert base64.urlsafe_b64decode(data + "==") == b"%PDF" * 500


def test_fields_are_heeded(client: Client) -> None:
    page = client.found("/messages", fields="messages(id),nextPageToken", maxResults=1)
    assert page == {"messages": [{"id": MADE[-1].id}], "nextPageToken": "1"}
    headers = client.found(f"/messages/{MADE[0].id}", fields="payload/headers/name,id")
    assert headers["id"] == MADE[0].id
    assert {"name": "Subject"} in headers["payload"]["headers"]
    assert client.get("/messages", fields="messages(id").status_code == 400


def test_the_profile_counts_the_mailbox(client: Client, service: GmailService) -> None:
    profile = client.found("/profile")
    assert profile["emailAddress"] == service.address
    assert profile["messagesTotal"] == 232
    assert client.found("/history", startHistoryId=profile["historyId"]) == {
        "historyId": profile["historyId"]
    }


def test_other_mailboxes_are_not_shown(client: Client, service: GmailService) -> None:
    for user, status in ((service.address, 200), ("other@example.com", 403)):
        url = f"{service.endpoint}/gmail/v1/users/{user}/profile"
        assert client.session.get(url, timeout=20).status_code == status


def test_changes_come_as_history_with_ids_of_gmails_form(client: Client, service: GmailService) -> None:
    start = client.history_id()
    inserted = service.insert(made_mail(99, FIRST), labels=["INBOX"], internal_date=FIRST)
    assert re.fullmatch("[0-9a-f]{16}", inserted)
    found = client.found(f"/messages/{inserted}", format="minimal")
    assert found["id"] == inserted
    assert found["internalDate"] == str(epoch_ms(FIRST))
    service.modify(inserted, add=["STARRED"], remove=["INBOX"])
    service.trash(inserted)
    service.delete(inserted)
    records = client.found("/history", startHistoryId=start)["history"]
    kinds = [key for record in records for key in record if key not in {"id", "messages"}]
    assert kinds == ["messagesAdded", "labelsAdded", "labelsRemoved", "labelsAdded", "messagesDeleted"]
    assert {message["id"] for record in records for message in record["messages"]} == {inserted}
    gone = client.get(f"/messages/{inserted}")
    assert gone.status_code == 404
    assert error_of(gone)["errors"][0]["reason"] == "notFound"
    assert service.gets(inserted) == 1


def test_expired_history_is_not_found_and_the_present_one_is(client: Client, service: GmailService) -> None:
    start = client.history_id()
    assert client.get("/history", startHistoryId=start).status_code == 200
    service.expire_history()
    refused = client.get("/history", startHistoryId=start)
    assert refused.status_code == 404
    assert error_of(refused) == {
        "code": 404,
        "message": "Requested entity was not found.",
        "errors": [{"message": "Requested entity was not found.", "domain": "global", "reason": "notFound"}],
        "status": "NOT_FOUND",
    }
    assert client.found("/history", startHistoryId=client.history_id()).keys() == {"historyId"}


def test_mail_may_come_between_pages(client: Client, service: GmailService) -> None:
    came: list[str] = []
    service.shift_pages = lambda: came.append(service.insert(made_mail(7, FIRST)))
    try:
        first = client.ids(maxResults=2)
        second = client.ids(maxResults=2, pageToken="2")
    finally:
        service.shift_pages = None
        for message_id in came:
            service.delete(message_id)
    assert len(came) == 2
    assert second[0] == first[1]


def test_a_batch_answers_each_of_its_calls(client: Client, service: GmailService) -> None:
    paths = [f"/messages/{MADE[0].id}?format=minimal", "/messages/none", "/profile"]
    parts = [
        f"--b\r\nContent-Type: application/http\r\nContent-ID: <c+{number}>\r\n\r\n"
        f"GET /gmail/v1/users/me{path} HTTP/1.1\r\n\r\n\r\n"
        for number, path in enumerate(paths)
    ]
    batch = client.session.post(
        f"{service.endpoint}/batch/gmail/v1",
        data="".join([*parts, "--b--\r\n"]),
        headers={"Content-Type": "multipart/mixed; boundary=b"},
        timeout=20,
    )
    assert re.findall(r"Content-ID: <response-c\+(\d)>\r\n\r\nHTTP/1.1 (\d+)", batch.text) == [
        ("0", "200"),
        ("1", "404"),
        ("2", "200"),
    ]
    assert (service.accepted, service.accepted_units) == (3, 41)
    assert service.gets(MADE[0].id) == 1
    too_many = client.session.post(
        f"{service.endpoint}/batch/gmail/v1",
        data="".join([*parts * 34, "--b--\r\n"]),
        headers={"Content-Type": "multipart/mixed; boundary=b"},
        timeout=20,
    )
    assert too_many.status_code == 400


def test_faults_happen_once_and_where_they_are_wanted(client: Client, service: GmailService) -> None:
    unavailable = google_error(503, "Backend Error", reason="backendError", status="UNAVAILABLE")
    service.fail(Fault(method="GET", path=MESSAGES, action=answer(503, unavailable.json or {}), after=1))
    assert [client.get("/messages").status_code for _ in range(3)] == [200, 503, 200]
    for action in (cut_before(), lose_answer()):
        service.fail(Fault(method="GET", path=MESSAGES, action=action))
        with pytest.raises(requests.exceptions.ConnectionError):
            client.get("/messages")
    service.fail(Fault(method="GET", path=MESSAGES, action=delay(0.2)))
    began = time.monotonic()
    assert client.get("/messages").status_code == 200
    assert time.monotonic() - began >= 0.2
    service.fail(Fault(method="GET", path=MESSAGES, action=rewrite(lambda found: {"n": len(found)})))
    assert client.found("/messages") == {"n": 3}
    assert [request.status for request in service.seen("GET", MESSAGES)] == [
        *(200, 503, 200),
        *(None, None),
        *(200, 200),
    ]


def test_a_search_that_the_server_gets_wrong_is_an_error_of_the_test() -> None:
    with (
        pytest.raises(ExceptionGroup) as caught,
        gmail_service() as service,
        pytest.raises(requests.exceptions.ConnectionError),
    ):
        Client(service).get("/messages", q="newer_than:2d")
    assert caught.group_contains(NotImplementedError, match="newer_than:2d")
