"""Sends messages to where URLs of apprise lead: the one place that knows it.

Whatever happens there is told in a line that names the URL by its scheme and its place in the settings: the
URL itself holds secrets. What apprise and what is below it log, warn of or raise is not shown, for it may.
"""

import logging
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from lorchestra.errors import ConfigError
from lorchestra.model import Finding

if TYPE_CHECKING:
    from apprise import Apprise

#: How long sending may take, whatever the URLs lead to.
DEADLINE_SECONDS = 20.0

_NOT_TAKEN = "it was not taken: refused, or the service could not be reached"
_FIX = (
    "Correct it under [notify] or in LORCHESTRA_NOTIFY_URLS: https://appriseit.com/services/ has the forms."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What is said, and how it is meant: services show it by a colour or a sign."""

    title: str
    body: str
    kind: Literal["failure", "warning", "success"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What became of one message at one URL; without a problem it was taken."""

    url: int
    message: int
    problem: str | None


def deliver(
    messages: Sequence[Message],
    urls: Sequence[SecretStr],
    *,
    say: Callable[[str], None],
    deadline_seconds: float = DEADLINE_SECONDS,
) -> list[bool]:
    """Send each message to each URL; for each message, whether one URL at least took it in time.

    Nothing is raised. What went wrong is said, a line for each URL.
    """
    if (problem := _missing()) is not None:
        say(f"Not notified: {problem.message}. {problem.next_step}")
        return [False] * len(messages)
    answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    services, lines = {}, []
    with _silence():
        for number, url in enumerate(urls):
            try:
                services[number] = _opened(number, url)
            except ConfigError as error:
                lines.append(error.message)
        for number, service in services.items():
            # Nobody waits for such a thread when the process ends.
            threading.Thread(target=_work, args=(number, service, messages, answers), daemon=True).start()
        told = list(_until(time.monotonic() + deadline_seconds, answers, len(services) * len(messages)))
    for number in services:
        problems = [one.problem for one in told if one.url == number and one.problem]
        if sum(one.url == number for one in told) < len(messages):
            problems.append(f"no answer within {deadline_seconds:g} seconds")
        if problems:
            lines.append(f"{_name(number, urls[number])}: {problems[0]}")
    for line in lines:
        say(f"Not notified: {line}")
    taken = {one.message for one in told if one.problem is None}
    return [number in taken for number in range(len(messages))]


def notifier_findings(urls: Sequence[SecretStr]) -> list[Finding]:
    """Whether each URL is one that can be used; nothing is sent."""
    if not urls:
        return []
    if (problem := _missing()) is not None:
        return [Finding(check="notify", ok=False, found=problem.message, fix=problem.next_step)]
    findings = []
    with _silence():
        for number, url in enumerate(urls):
            try:
                _opened(number, url)
            except ConfigError as error:
                findings.append(Finding(check="notify", ok=False, found=error.message, fix=error.next_step))
            else:
                findings.append(Finding(check="notify", ok=True, found=_name(number, url)))
    return findings


def _missing() -> ConfigError | None:
    try:
        import apprise  # noqa: F401, PLC0415 - an extra, and loaded only when there is something to say
    except ImportError:
        return ConfigError(
            "notify.urls: a package that they need is not installed",
            next_step="Type: pip install 'lorchestra[notify]'",
        )
    return None


def _work(
    number: int, service: "Apprise", messages: Sequence[Message], answers: "queue.SimpleQueue[_Answer]"
) -> None:
    """One URL, message by message."""
    for index, message in enumerate(messages):
        try:
            problem = None if _sent(service, message) else _NOT_TAKEN
        except BaseException as error:  # noqa: BLE001 - the boundary: a thread's error would show its message
            problem = f"{type(error).__name__} where it was sent"
        answers.put(_Answer(url=number, message=index, problem=problem))


def _opened(number: int, url: SecretStr) -> "Apprise":
    """What sends to the URL.

    Raises:
        ConfigError: it is none that can be used.
    """
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415

    # Its own deadlines would leave threads behind that Python waits for at its end.
    asset = AppriseAsset(
        app_id="lorchestra", app_desc="lorchestra", async_mode=False, service_timeout=0, secure_logging=True
    )
    opened = Apprise(asset=asset)
    try:
        service = Apprise.instantiate(url.get_secret_value(), asset=asset)
    except Exception:  # noqa: BLE001 - what it raises may hold the URL
        service = None
    if service is None or not opened.add(service):
        raise ConfigError(f"{_name(number, url)}: is no URL that apprise can use", next_step=_FIX)
    return opened


def _sent(service: "Apprise", message: Message) -> bool:
    from apprise import NotifyFormat, NotifyType  # noqa: PLC0415

    return bool(
        service.notify(
            title=message.title,
            body=message.body,
            notify_type=NotifyType(message.kind),
            body_format=NotifyFormat.TEXT,
        )
    )


def _until(deadline: float, answers: "queue.SimpleQueue[_Answer]", count: int) -> Iterator[_Answer]:
    for _ in range(count):
        try:
            yield answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return


@contextmanager
def _silence() -> Iterator[None]:
    """Neither logs nor warnings, whoever has asked for them: they show URLs."""
    # A thread that is given up may still be there afterwards.
    logging.getLogger("apprise").propagate = False
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _name(number: int, url: SecretStr) -> str:
    """`slack, notify.urls[1]`."""
    return f"{url.get_secret_value().partition('://')[0]}, notify.urls[{number}]"
