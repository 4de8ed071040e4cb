"""Gmail in the suite of API sources: the stand-in with made messages."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.sources.gmail import GMAIL
from lorchestra.sources.pace import CALLS_MAX
from tests.emulator.faults import Action, Answered
from tests.emulator.wire import Answer
from tests.gmail.front import (
    Fault,
    GmailService,
    cut_before,
    delay,
    gmail_service,
    google_error,
    lose_answer,
    quota_exceeded,
)
from tests.gmail.mailbox import Message, made_mail, message_id
from tests.sources.api_case import ApiCase, Trouble

SOURCE_SYSTEM = "tap-gmail--acct1-personal"
#: Faster than the stand-in answers.
UNITS_PER_MINUTE = 1_200_000

_CALL = r"^/gmail/v1/"
_GET = re.compile(r"/messages/([0-9a-f]+)$")
_ALWAYS = 10**9
#: Longer than the source waits with `impatience`.
_SLOW_SECONDS = 1.5


class ServedMailbox:
    """The stand-in as an `ApiService`."""

    def __init__(self, service: GmailService, count: int) -> None:
        self.service = service
        self._added = count

    @property
    def options(self) -> dict[str, Any]:
        where = {"endpoint": self.service.endpoint, "token_uri": self.service.token_uri}
        return {**where, "quota_units_per_minute": UNITS_PER_MINUTE}

    @property
    def environment(self) -> Mapping[str, str]:
        return self.service.variables(SOURCE_SYSTEM)

    @property
    def secrets(self) -> Sequence[str]:
        login = [self.service.refresh_token, self.service.client_secret, *self.service._tokens._access]
        return [*login, self.service.address, "@example.com", "lorem ipsum", "Message 1"]

    @property
    def calls(self) -> int:
        return len(self.service.seen("GET", _CALL))

    def fetches(self) -> Counter[str]:
        gets = (request for request in self.service.seen("GET", _CALL) if request.status == 200)
        found = (_GET.search(request.path) for request in gets)
        return Counter(match[1] for match in found if match)

    def forget_calls(self) -> None:
        self.service.reset_log()

    def add(self, date: datetime | None = None) -> str:
        self._added += 1
        arrived = date or datetime.now(UTC)
        return self.service.insert(made_mail(self._added, arrived), internal_date=arrived)

    def change(self, record_id: str) -> None:
        self.service.modify(record_id, add=["STARRED"], remove=["UNREAD"])

    def delete(self, record_id: str) -> None:
        self.service.delete(record_id)

    def between_pages(self, change: Callable[[], object] | None) -> None:
        self.service.shift_pages = change

    def trouble(self, trouble: Trouble, *, call: int) -> None:
        self.service.fail(Fault(method="GET", path=_CALL, action=self._action(trouble), after=call))

    def break_record(self, record_id: str) -> None:
        action = self._action(Trouble.SERVER_ERROR)
        self.service.fail(Fault(method="GET", path=f"/messages/{record_id}", action=action, times=_ALWAYS))

    def go_down(self, trouble: Trouble, *, after: int = 0) -> None:
        action = self._action(trouble)
        self.service.fail(Fault(method="GET", path=_CALL, action=action, after=after, times=_ALWAYS))

    def mend(self) -> None:
        self.service.forget_faults()

    def expire_login(self) -> None:
        self.service.expire_access_tokens()

    def revoke_login(self) -> None:
        self.service.revoke()
        self.service.refuse_login("invalid_grant", f"Token has been expired or revoked. {self._told}")

    def expire_cursor(self) -> None:
        self.service.expire_history()

    @property
    def _told(self) -> str:
        return " ".join(self.secrets)

    def _action(self, trouble: Trouble) -> Action:
        match trouble:
            case Trouble.SERVER_ERROR:
                told = f"Backend Error {self._told}"
                return Answered(google_error(503, told, reason="backendError", status="UNAVAILABLE"))
            case Trouble.UNREADABLE:
                return Answered(Answer(200, [("Content-Type", "text/html")], f"<p>{self._told}".encode()))
            case Trouble.CUT:
                return cut_before()
            case Trouble.LOST_ANSWER:
                return lose_answer()
            case Trouble.REFUSED:
                return Answered(quota_exceeded("RESOURCE_EXHAUSTED"))
            case Trouble.SLOW:
                return delay(_SLOW_SECONDS)


@contextmanager
def served_mailbox(dates: Iterable[datetime], size: int = 2_000) -> Iterator[ServedMailbox]:
    messages = [
        Message(
            id=message_id(date, number),
            thread_id=message_id(date, number),
            raw=made_mail(number, date, size=size),
            label_ids=("INBOX", "UNREAD"),
            internal_date=date,
        )
        for number, date in enumerate(dates)
    ]
    with gmail_service(messages) as service:
        yield ServedMailbox(service, len(messages))


def _date_of(message: Mapping[str, Any]) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(message["internalDate"]))


_SOURCES = "lorchestra.sources"
GMAIL_CASE = ApiCase(
    name="gmail",
    kind=GMAIL,
    source_system=SOURCE_SYSTEM,
    start=served_mailbox,
    constants={
        f"{_SOURCES}.gmail_api.PAGE_SIZE": 5,
        f"{_SOURCES}.fetching._HELD_BYTES": 20_000,
        f"{_SOURCES}.google_calls._LONGEST_BACKOFF_SECONDS": 0.02,
        f"{_SOURCES}.pace._FIRST_PAUSE_SECONDS": 0.02,
        f"{_SOURCES}.pace._LONGEST_PAUSE_SECONDS": 0.05,
        f"{_SOURCES}.google_tokens._PAUSES_SECONDS": (0.01, 0.01),
    },
    impatience={f"{_SOURCES}.google_calls._READ_SECONDS": 0.75},
    one_at_a_time={f"{_SOURCES}.gmail_messages.CALLS_MAX": 1},
    page=5,
    # What may be held, and a call of each thread.
    ahead=20_000 // 2_000 + CALLS_MAX,
    broken_reason="http_503",
    date_of=_date_of,
)
