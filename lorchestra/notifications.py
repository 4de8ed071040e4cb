"""A message when the state of a job changes: it fails, is late, is quiet, or is ok again.

{spool}/notified/{job}.json     what was told last, by the address of the store; without it: that it is ok
{spool}/notified/{job}.lock     held while that is compared, told and noted
"""

import json
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lorchestra.config import Settings, is_job_name
from lorchestra.errors import SpoolError
from lorchestra.health import AlertKind, JobHealth
from lorchestra.notifier import Message, deliver
from lorchestra.private_files import make_private_folder, replace_file
from lorchestra.spool import spool_errors
from lorchestra.stores.base import Store, address_of

_OK = "ok"
# The worst first; that a run is slow or takes long is told in the listings alone.
_TOLD = (AlertKind.FAILING, AlertKind.LATE, AlertKind.QUIET)
_STATES = (_OK, *_TOLD)


def notify_changes(
    healths: Iterable[JobHealth], *, store: Store, settings: Settings, say: Callable[[str], None]
) -> None:
    """Tell the URLs of `[notify]` of each job whose state is another than the one that was told last.

    `healths` are of jobs in `store`. A job of which nothing was told is taken for ok. What no URL took is
    told again the next time; what another process is telling is left to it. Nothing is raised: what goes
    wrong is said in a line that holds no URL.
    """
    urls = settings.notify.urls
    if not urls:
        return
    try:
        with ExitStack() as locks:
            due = list(_due(healths, address_of(store), settings.spool.path / "notified", locks))
            if due:
                taken = deliver([one.message() for one in due], urls, say=say)
                for change, was_taken in zip(due, taken, strict=True):
                    if was_taken:
                        change.told.write(change.state)
    except SpoolError as error:
        say(f"Notifications: {error.message}. {error.next_step}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """What was told last of one job in one store."""

    path: Path
    address: str

    def state(self) -> str:
        return self._all().get(self.address, _OK)

    def write(self, state: str) -> None:
        """Note what was told, whole or not at all."""
        with spool_errors(self.path.parent):
            replace_file(self.path, [json.dumps({**self._all(), self.address: state}).encode()])

    def lock(self) -> FileLock:
        with spool_errors(self.path.parent):
            make_private_folder(self.path.parent)
        return FileLock(self.path.with_suffix(".lock"), timeout=0, mode=0o600)

    def _all(self) -> dict[str, str]:
        """A file that is none of ours says nothing."""
        try:
            content = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {store: state for store, state in content.items() if state in _STATES}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Change:
    health: JobHealth
    state: str
    before: str
    told: _Told

    def message(self) -> Message:
        again = " again" if self.state == _OK else ""
        lines = [f"Before: {self.before}"] if self.before != _OK else []
        for alert in self.health.alerts:
            if alert.kind.value == self.state:
                lines = [alert.message, alert.next_step, *lines]
        if (run_id := self._run_id()) is not None:
            lines.append(f"Run: {run_id}")
        return Message(
            title=f"lorchestra: {self.health.job_name} is {self.state}{again}",
            body="\n".join([*lines, f"Host: {socket.gethostname()}"]),
            kind="success" if again else "failure" if self.state == AlertKind.FAILING else "warning",
        )

    def _run_id(self) -> str | None:
        """The newest run that ended as the state says."""
        end = "failed" if self.state == AlertKind.FAILING else "succeeded"
        return next((run["run_id"] for run in self.health.runs if run["state"] == end), None)


def _due(healths: Iterable[JobHealth], address: str, folder: Path, locks: ExitStack) -> Iterable[_Change]:
    """The changes that this process shall tell; their locks are held."""
    for health in healths:
        state = _state(health)
        # A job's name is its own; what a stranger's event calls one may be no name of a file.
        if state is None or not is_job_name(health.job_name):
            continue
        told = _Told(path=folder / f"{health.job_name}.json", address=address)
        with spool_errors(folder):
            if told.state() == state:
                continue
            try:
                locks.enter_context(told.lock())
            except Timeout:
                continue
            # Another process may have told it before the lock was ours.
            if (before := told.state()) != state:
                yield _Change(health=health, state=state, before=before, told=told)


def _state(health: JobHealth) -> str | None:
    """What there is to tell; None where nobody can say how the job is."""
    kinds = {alert.kind for alert in health.alerts}
    for kind in _TOLD:
        if kind in kinds:
            return kind.value
    ended = next((run["state"] for run in health.runs if run["state"] != "running"), None)
    # A job of the past has no alerts, though its last run may have failed.
    return _OK if ended == "succeeded" else None
