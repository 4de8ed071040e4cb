"""How to fetch many messages from Gmail: calls over open connections, or batches.

What came of it stands in docs/decisions/gmail-calls.md.

    python -m benchmarks.gmail_transport [--messages N] [--latency SECONDS] [--json]

The service is the stand-in of the tests; it holds the messages of the sample, again and again.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import requests

from lorchestra.sources.base import SourceContext
from lorchestra.sources.fetching import fetched
from lorchestra.sources.google_calls import GoogleCalls
from lorchestra.sources.google_login import GoogleLogin, open_login
from lorchestra.sources.google_login_options import GoogleLoginOptions
from lorchestra.sources.pace import Pace
from lorchestra.sources.quota import AIMED_AT, load_regimes
from lorchestra.sources.turnstile import Turnstile
from tests.gmail.front import GmailService, gmail_service
from tests.gmail.mailbox import Message, takeout_messages

SYSTEM = "tap-gmail--bench"
#: Of the smaller limits' costs, so many units a minute are 25 messages a second.
UNITS_PER_MINUTE = 30_000
UNITS = 20
CALLS_AT_ONCE = 10
BATCH = 50
_PART = "--b\r\nContent-Type: application/http\r\nContent-ID: <{0}>\r\n\r\nGET {1} HTTP/1.1\r\n\r\n\r\n"
_STATUS = re.compile(r"^HTTP/1\.1 (\d{3})", re.MULTILINE)

Fetch = Callable[[GmailService, Sequence[str]], None]


@dataclass(frozen=True)
class Measured:
    """How long it took, and how many calls the service refused."""

    how: str
    seconds: float
    messages: int
    refused: int


def sample(number: int) -> list[Message]:
    """So many messages of the sample, under ids of their own where it has not that many."""
    found = islice(cycle(takeout_messages()), number)
    return [replace(one, id=f"{0x18C0000000000000 + index:016x}") for index, one in enumerate(found)]


def path_of(message_id: str) -> str:
    return f"gmail/v1/users/me/messages/{message_id}"


def login_at(service: GmailService) -> GoogleLogin:
    context = SourceContext(
        base=Path(tempfile.gettempdir()), source_system=SYSTEM, environment=service.variables(SYSTEM)
    )
    return open_login(GoogleLoginOptions(token_uri=service.token_uri), context)


# Contenders


def by_calls(threads: int, units_per_minute: int) -> Fetch:
    """One call a message, as the source makes them."""

    def fetch(service: GmailService, ids: Sequence[str]) -> None:
        login = login_at(service)
        pace = Pace(
            load_regimes("gmail_quota.toml"),
            now=time.monotonic(),
            quota="new",
            units_per_minute=units_per_minute,
        )
        calls = GoogleCalls(
            service.endpoint,
            login=login,
            turnstile=Turnstile(pace),
            refused_permission=login.refused_permission,
            limits_found=lambda: None,
        )
        results = fetched(
            ids, lambda one: calls.get("messages.get", path_of(one), {}), threads=threads, single=()
        )
        assert sum(result.value is not None for result in results) == len(ids)

    return fetch


def by_batches(at_once: int, units_per_minute: float) -> Fetch:
    """Batches, a little slower than the limit; what is refused goes into a later one."""

    def fetch(service: GmailService, ids: Sequence[str]) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {login_at(service).access_token()}"
        session.headers["Content-Type"] = "multipart/mixed; boundary=b"
        left = deque(ids)
        may_go_at = time.monotonic()

        def send(some: Sequence[str]) -> list[str]:
            parts = [_PART.format(number, f"/{path_of(one)}") for number, one in enumerate(some)]
            answer = session.post(
                f"{service.endpoint}/batch/gmail/v1", data="".join([*parts, "--b--\r\n"]), timeout=60
            )
            statuses = _STATUS.findall(answer.text)
            return [one for one, status in zip(some, statuses, strict=True) if status != "200"]

        with ThreadPoolExecutor(at_once) as pool:
            while left:
                batches = []
                for _ in range(min(at_once, -(-len(left) // BATCH))):
                    some = [left.popleft() for _ in range(min(BATCH, len(left)))]
                    time.sleep(max(0.0, may_go_at - time.monotonic()))
                    may_go_at = time.monotonic() + len(some) * UNITS * 60 / (units_per_minute * AIMED_AT)
                    batches.append(pool.submit(send, some))
                for batch in batches:
                    left.extend(batch.result())

    return fetch


# Measuring


@contextmanager
def service_with(messages: Sequence[Message], latency: float, **limits: Any) -> Iterator[GmailService]:
    with gmail_service(messages, latency=latency, **limits) as service:
        yield service


def measure(how: str, fetch: Fetch, service: GmailService, ids: Sequence[str]) -> Measured:
    service.reset_log()
    started = time.perf_counter()
    fetch(service, ids)
    seconds = time.perf_counter() - started
    print(".", end="", file=sys.stderr, flush=True)
    return Measured(how, seconds, len(ids), service.refused)


def contenders(units_per_minute: int, threads: Sequence[int]) -> list[tuple[str, Fetch]]:
    return [
        *(
            (f"calls, {number} thread{'s' * (number > 1)}", by_calls(number, units_per_minute))
            for number in threads
        ),
        *(
            (f"batches of {BATCH}, {number} at a time", by_batches(number, units_per_minute))
            for number in (1, 2)
        ),
    ]


def run(number: int, latency: float) -> dict[str, list[Measured]]:
    messages = sample(number)
    ids = [message.id for message in messages]
    found: dict[str, list[Measured]] = {"no quota": [], "quota": []}
    with service_with(messages, latency) as service:
        for how, fetch in contenders(100_000_000, (1, 4, 8, 16, 32)):
            found["no quota"].append(measure(how, fetch, service, ids))
    # Each from a bucket that is full, with the limits of one user.
    for how, fetch in contenders(UNITS_PER_MINUTE, (16,)):
        with service_with(
            messages,
            latency,
            quota="new",
            user_units_per_minute=UNITS_PER_MINUTE,
            burst_units=UNITS_PER_MINUTE / 60,
            concurrent_limit=CALLS_AT_ONCE,
        ) as service:
            found["quota"].append(measure(how, fetch, service, ids))
    print(file=sys.stderr)
    return found


def as_table(found: dict[str, list[Measured]]) -> str:
    lines = ["| | seconds | messages a second |", "|---|---:|---:|"]
    lines += [
        f"| {one.how} | {one.seconds:.1f} | {one.messages / one.seconds:.0f} |" for one in found["no quota"]
    ]
    lines += ["", "| with limits | seconds | calls refused |", "|---|---:|---:|"]
    lines += [f"| {one.how} | {one.seconds:.1f} | {one.refused} |" for one in found["quota"]]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = run(arguments.messages, arguments.latency)
    plain = {name: [vars(one) for one in each] for name, each in found.items()}
    print(json.dumps(plain, indent=2) if arguments.json else as_table(found))


if __name__ == "__main__":
    main()
