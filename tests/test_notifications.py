"""What is told of a job whose state changed: once, to whoever takes it, and never at the cost of anything."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lorchestra.config import Settings, load_settings
from lorchestra.health import JobHealth, job_healths
from lorchestra.notifications import _Told, notify_changes
from lorchestra.notifier import Message, deliver, notifier_findings
from lorchestra.stores import Store, open_store
from tests.past_runs import past_runs
from tests.receivers import Webhook, webhook

JOB = "mail"
SECRET = "hunter2-7f3a"
NOTHING = Message(title="a", body="b", kind="warning")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def store(duckdb_store: Store) -> Store:
    duckdb_store.create_tables()
    return duckdb_store


def settings_of(folder: Path, *urls: str) -> Settings:
    listed = ", ".join(f'"{url}"' for url in urls)
    (folder / "lorchestra.toml").write_text(f"[notify]\nurls = [{listed}]\n", encoding="utf-8")
    return load_settings(folder / "lorchestra.toml")


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def health(store: Store, job: str = JOB) -> list[JobHealth]:
    return [one for one in job_healths(store, {job}) if one.job_name == job]


def look(store: Store, settings: Settings) -> list[str]:
    """Look at the job and notify; what was said."""
    said: list[str] = []
    notify_changes(health(store), store=store, settings=settings, say=said.append)
    return said


# What is told, and when


def test_a_late_job_is_told_once_and_again_when_it_has_run(
    tmp_path: Path, store: Store, hook: Webhook
) -> None:
    """With what is wrong, what to type, the run and the host, and nothing else."""
    settings = settings_of(tmp_path, hook.url())
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))

    assert look(store, settings) + look(store, settings) == []

    assert hook.titles == ["lorchestra: mail is late"]
    newest = max(run["run_id"] for run in health(store)[0].runs)
    sentence, step, run, host = hook.messages[0]["message"].splitlines()
    assert sentence == "last started 5 h ago, usually every 60 min"
    assert step.startswith("Type: lorchestra run mail.")
    assert (run, host) == (f"Run: {newest}", f"Host: {socket.gethostname()}")

    store.append_events(past_runs(JOB, 1, last_began=timedelta(minutes=1)))
    assert look(store, settings) + look(store, settings) == []
    assert hook.titles[1:] == ["lorchestra: mail is ok again"]
    assert hook.messages[1]["message"].splitlines()[0] == "Before: late"


def test_a_quiet_job_is_told(tmp_path: Path, store: Store, hook: Webhook) -> None:
    settings = settings_of(tmp_path, hook.url())
    store.append_events(past_runs(JOB, 12, last_began=timedelta(hours=2)))
    store.append_events(past_runs(JOB, 1, inserted=0, last_began=timedelta(minutes=5)))

    look(store, settings)

    assert hook.titles == ["lorchestra: mail is quiet"]
    assert hook.messages[0]["message"].startswith("nothing new, usually 40\n")


def test_a_job_that_is_ok_or_slow_or_never_ran_is_not_told(
    tmp_path: Path, store: Store, hook: Webhook
) -> None:
    settings = settings_of(tmp_path, hook.url())
    assert look(store, settings) == []
    store.append_events(past_runs(JOB, 12, last_began=timedelta(hours=2)))
    assert look(store, settings) == []
    store.append_events(past_runs(JOB, 1, seconds=90, last_began=timedelta(minutes=5)))
    assert [alert.kind for alert in health(store)[0].alerts] == ["slow"]
    assert look(store, settings) == []
    assert hook.messages == []


def test_without_urls_nothing_is_told_nor_noted(tmp_path: Path, store: Store) -> None:
    settings = settings_of(tmp_path)
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
    assert look(store, settings) == []
    assert not settings.spool.path.exists()


def test_what_was_told_of_one_store_is_not_known_of_another(
    tmp_path: Path, store: Store, hook: Webhook
) -> None:
    """The spool is shared by the stores of a project; a job may fail in one and not in the other."""
    settings = settings_of(tmp_path, hook.url())
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
    look(store, settings)
    other = open_store(f"duckdb:///{tmp_path / 'other.duckdb'}")
    other.create_tables()
    other.append_events(past_runs(JOB, 12))
    look(other, settings)
    look(store, settings)
    assert hook.titles == ["lorchestra: mail is late"]


# Who takes it


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_nobody_took_is_told_again(tmp_path: Path, store: Store, hook: Webhook, status: int) -> None:
    settings = settings_of(tmp_path, hook.url(SECRET))
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
    hook.status = status
    said = look(store, settings)
    assert said == [
        "Not notified: json, notify.urls[0]: it was not taken: refused, or the service could not be reached"
    ]
    hook.status = 200
    assert look(store, settings) + look(store, settings) == []
    assert hook.titles == ["lorchestra: mail is late"] * 2


def test_one_that_takes_it_is_enough(tmp_path: Path, store: Store, hook: Webhook) -> None:
    """Each of the others is named by its place, and it is not told a second time."""
    settings = settings_of(
        tmp_path, f"json://127.0.0.1:{closed_port()}/{SECRET}", hook.url(), f"nope://{SECRET}"
    )
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))

    said = look(store, settings)

    assert sorted(line.split(": ")[1] for line in said) == ["json, notify.urls[0]", "nope, notify.urls[2]"]
    assert SECRET not in "".join(said)
    assert look(store, settings) == []
    assert len(hook.messages) == 1


def test_a_service_that_never_answers_is_given_up(hook: Webhook) -> None:
    """Also where its URL has more patience, and the process ends all the same."""
    hook.status = None
    script = (
        "import sys\nfrom pydantic import SecretStr\nfrom lorchestra.notifier import Message, deliver\n"
        "taken = deliver([Message(title='a', body='b', kind='failure')], [SecretStr(sys.argv[1])],"
        " say=print, deadline_seconds=0.5)\nprint(taken)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"{hook.url(SECRET)}?rto=3000"],
        capture_output=True,
        timeout=60,
        check=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "Not notified: json, notify.urls[0]: no answer within 0.5 seconds",
        "[False]",
    ]
    assert done.stderr == ""


def test_a_mail_says_what_a_webhook_says(tmp_path: Path, store: Store) -> None:
    mails: list[Any] = []

    class Inbox:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
            mails.append(message_from_bytes(envelope.content, policy=default))
            return "250 OK"

    controller = Controller(Inbox(), hostname="127.0.0.1", port=closed_port())
    controller.start()
    try:
        url = f"mailto://127.0.0.1:{controller.port}?from=lorchestra@example.org&to=me@example.org"
        settings = settings_of(tmp_path, url)
        store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
        assert look(store, settings) == []
    finally:
        controller.stop()
    assert [mail["Subject"] for mail in mails] == ["lorchestra: mail is late"]
    assert "me@example.org" in mails[0]["To"]
    text = mails[0].get_body(("plain", "html"))
    assert text is not None
    assert "last started 5 h ago" in text.get_content()
    assert "crontab -l" in text.get_content()


# Two at once


def test_who_does_not_get_the_lock_leaves_it_to_the_other(
    tmp_path: Path, store: Store, hook: Webhook
) -> None:
    """It neither waits nor sends."""
    settings = settings_of(tmp_path, hook.url())
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
    folder = settings.spool.path / "notified"
    folder.mkdir(parents=True)
    with FileLock(folder / f"{JOB}.lock"):
        assert look(store, settings) == []
        assert hook.messages == []
    look(store, settings)
    assert len(hook.messages) == 1


def test_many_at_once_tell_it_once(tmp_path: Path, store: Store, hook: Webhook) -> None:
    settings = settings_of(tmp_path, hook.url())
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
    found = health(store)
    threads = [
        threading.Thread(
            target=notify_changes,
            args=(found,),
            kwargs={"store": store, "settings": settings, "say": lambda _: None},
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hook.titles == ["lorchestra: mail is late"]


# What was told last


@given(content=st.binary(max_size=40) | st.sampled_from([b"[]", b'{"a":{}}', b"null", b"[" * 100_000]))
def test_a_broken_note_is_as_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever stands in it: what is wrong is told, and noted."""
    told = _Told(path=tmp_path_factory.mktemp("n") / "mail.json", address="duckdb:///a")
    told.path.write_bytes(content)
    assert told.state() == "ok"
    told.write("late")
    assert told.state() == "late"
    assert told.path.stat().st_mode & 0o077 == 0


def test_a_spool_that_cannot_be_written_is_said(tmp_path: Path, store: Store, hook: Webhook) -> None:
    settings = settings_of(tmp_path, hook.url(SECRET))
    store.append_events(past_runs(JOB, 30, last_began=timedelta(hours=5)))
    settings.spool.path.parent.mkdir()
    settings.spool.path.write_text("a file")
    (said,) = look(store, settings)
    assert said.startswith("Notifications: spool: cannot be written: ")
    assert hook.messages == []


# What is not shown


def test_what_libraries_log_is_not_shown(hook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever handlers a job has set: they would show the URL."""
    hook.status = 500
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        deliver([NOTHING], [SecretStr(hook.url(SECRET)), SecretStr(f"nope://{SECRET}")], say=said.append)
    assert len(said) == 2
    assert caplog.records == []
    # It is heard again afterwards.
    logging.getLogger("job").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]


@given(rest=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30))
def test_no_url_is_shown_whatever_it_is(rest: str) -> None:
    """A finding says the scheme and the place."""
    scheme = "json" if len(rest) % 2 else "slack"
    url = SecretStr(f"{scheme}://{SECRET}{rest}")
    (finding,) = notifier_findings([url])
    assert finding.found.removeprefix(f"{scheme}, notify.urls[0]") in {
        "",
        ": is no URL that apprise can use",
    }
    assert SECRET not in f"{finding!r} {url!r}"
