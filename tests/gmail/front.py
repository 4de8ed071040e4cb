"""The Gmail API as a client meets it: a proxy in front of a server that others wrote.

(a) It makes up for what that server gets wrong:

- Access tokens are the front's own and expire; what is missing, unknown or out of scope is 401 or 403.
- Quota is counted for each call, and refused in Google's words; so are too many calls at once.
- users.getProfile and batches are answered. An old startHistoryId is 404 when a test lets history expire.
- Empty lists are left out, `sizeEstimate` is the message's, and ids of inserted mail have 16 hex digits.
- `fields` is heeded.
- A `q` that the server would answer with the wrong messages is an error of the test.

Left as that server has it: history ids have 21 digits, page tokens are offsets, headers in `payload` are a
choice, and attachments keep their ids.

(b) It injects the faults that a test names with `GmailService.fail`. They come before everything else, and
what is answered by them uses no quota.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from tests.emulator.faults import Fault, answer, cut_before, delay, lose_answer, rewrite
from tests.gmail.errors import google_error
from tests.gmail.mailbox import Message, seed
from tests.gmail.process import running_gmail
from tests.gmail.quota import (
    REFUSALS,
    USER_UNITS_PER_MINUTE,
    Meter,
    Model,
    Refusal,
    Regime,
    limit_of,
    quota_exceeded,
)
from tests.gmail.service import GmailService, Recorded
from tests.gmail.upstream import Upstream

__all__ = [
    "Fault",
    "GmailService",
    "Recorded",
    "answer",
    "cut_before",
    "delay",
    "gmail_service",
    "google_error",
    "lose_answer",
    "quota_exceeded",
    "rewrite",
]

# The server answers 5,000 calls an hour for each.
_UPSTREAM_TOKENS = [f"upstream-{number}" for number in range(300)]


@contextmanager
def gmail_service(
    messages: Iterable[Message] = (),
    *,
    address: str = "owner@example.com",
    label_ids: Iterable[str] = (),
    quota: Regime | None = None,
    user_units_per_minute: float | None = None,
    model: Model = "bucket",
    burst_units: float | None = None,
    minute_seconds: float = 60.0,
    refuse_with: Sequence[Refusal] = REFUSALS,
    retry_after: int | None = None,
    concurrent_limit: int | None = None,
    latency: float = 0.0,
    access_token_seconds: float = 3599.0,
    refresh_token_expires_in: int | None = None,
) -> Iterator[GmailService]:
    """Start a service with a mailbox; at the end, stop it and raise what went wrong inside it.

    Without `quota` nothing is refused, and units are counted as the new rules have them. A smaller
    `minute_seconds` makes Google's minute shorter; `burst_units` is what a bucket holds, a minute's units
    otherwise. Refused calls are answered in the ways of `refuse_with` in turn.
    """
    regime = quota or "new"
    units = USER_UNITS_PER_MINUTE[regime] if user_units_per_minute is None else user_units_per_minute
    limit = limit_of(model, units, minute_seconds, burst_units) if quota else None
    held = seed(messages, address=address, tokens=_UPSTREAM_TOKENS, label_ids=label_ids)
    with running_gmail(held) as endpoint:
        upstream = Upstream(endpoint, _UPSTREAM_TOKENS)
        service = GmailService(
            upstream,
            address=address,
            meter=Meter(regime, limit, refuse_with, retry_after),
            concurrent_limit=concurrent_limit,
            latency=latency,
            access_token_seconds=access_token_seconds,
            refresh_token_expires_in=refresh_token_expires_in,
        )
        service._server.start()
        try:
            yield service
        finally:
            service._closing.set()
            service._server.stop()
            upstream.close()
    if service._server.errors:
        raise ExceptionGroup("The service went wrong.", service._server.errors)
