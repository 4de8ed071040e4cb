"""Gmail by the installed command: what a person sees of it, and what is left when they pull the plug."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from docs import meanings
from lorchestra.sources.pace import CALLS_MAX
from tests.emulator.front import ServiceFront
from tests.gmail.front import Fault, GmailService, answer, gmail_service
from tests.gmail.mailbox import Message, made_mail, made_messages, takeout_messages
from tests.project import COMMAND, JOB, SOURCE_SYSTEM, Project

TAKEOUT = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"
DOWN = answer(503, {"error": {"code": 503, "message": "The service is currently unavailable."}})
ENDS = ("job.completed", "job.failed")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def job(service: GmailService, *lines: str, name: str = JOB) -> str:
    """The table of a job; the stand-in sets no limit, so without a word on quota it goes fast."""
    if not any(line.startswith("quota") for line in lines):
        lines = (*lines, "quota_units_per_minute = 60_000")
    return "\n".join(
        [
            f"[jobs.{name}]",
            'source = "gmail"',
            f'source_system = "{SOURCE_SYSTEM}"',
            'object_type = "email"',
            f'endpoint = "{service.endpoint}"',
            f'token_uri = "{service.token_uri}"',
            *lines,
        ]
    )


@pytest.fixture
def service() -> Iterator[GmailService]:
    """The mailbox of the bundled Takeout file."""
    with gmail_service(takeout_messages()) as started:
        yield started


@pytest.fixture
def project(tmp_path: Path, service: GmailService) -> Project:
    project = Project(folder=tmp_path, variables=service.variables(SOURCE_SYSTEM))
    project.configure(job(service, "include_spam_trash = true"))
    return project


def run(project: Project, *options: str, code: int = 0) -> dict[str, Any]:
    return project.lorchestra("run", JOB, "--json", *options, code=code).rows[0]


def ended(project: Project) -> dict[str, Any]:
    """The payload of the newest event that ended an ingestion."""
    [*_, event] = [one for one in project.events() if one["event_type"].startswith("ingestion.")]
    payload = event["payload"]
    assert isinstance(payload, dict)
    return payload


def ids(project: Project) -> list[str]:
    return sorted(row["external_id"] for row in project.objects())


def test_a_first_run_stores_the_mailbox_and_a_second_one_makes_two_calls(
    project: Project, service: GmailService
) -> None:
    assert run(project)["inserted"] == 220
    assert ids(project) == sorted(message.id for message in takeout_messages())
    assert [one["event_type"] for one in project.events()] == [
        "job.started",
        "ingestion.completed",
        "job.completed",
    ]
    payload = ended(project)
    assert payload["calls"] == 222
    assert payload["quota_units"] == 221 * 5 + 1
    assert (payload["retries"], payload["calls_refused"], payload["not_found"]) == (0, 0, 0)
    documented = {*meanings.PAYLOADS["ingestion.completed"], *meanings.GMAIL, "cursor", "date_filter"}
    assert payload.keys() <= documented

    service.reset_log()
    again = run(project)
    assert (again["records_extracted"], again["inserted"], again["updated"]) == (0, 0, 0)
    assert [(one.method, one.path) for one in service.requests] == [
        ("POST", "/token"),
        ("GET", "/gmail/v1/users/me/history"),
    ]


def test_what_changes_and_what_goes_comes_with_the_next_run(project: Project, service: GmailService) -> None:
    run(project)
    starred, deleted, trashed, *_ = [message.id for message in takeout_messages()]
    service.modify(starred, add=["STARRED"])
    service.delete(deleted)
    service.trash(trashed)
    new = service.insert(made_mail(1, NOON, size=500, attachment=None), internal_date=NOON)
    service.reset_log()

    changed = run(project)

    assert (changed["inserted"], changed["updated"], changed["gone"]) == (1, 3, 1)
    assert service.gets(starred) == service.gets(trashed) == service.gets(new) == 1
    rows = {row["external_id"]: row["payload"] for row in project.objects()}
    assert len(rows) == 221
    assert "STARRED" in rows[starred]["labelIds"]
    assert "TRASH" in rows[trashed]["labelIds"]
    assert rows[deleted]["payload"]["headers"]
    assert datetime.fromisoformat(rows[deleted]["_sdc_deleted_at"]) > datetime.now(UTC) - timedelta(minutes=5)
    assert run(project)["records_extracted"] == 0


def test_after_a_takeout_file_only_the_rest_is_fetched(
    project: Project, service: GmailService, tmp_path: Path
) -> None:
    project.configure(
        job(service, "include_spam_trash = true"),
        f"""
        [jobs.takeout]
        source = "takeout"
        source_system = "{SOURCE_SYSTEM}"
        path = "{TAKEOUT}"
        """,
    )
    assert project.lorchestra("run", "takeout", "--json").rows[0]["inserted"] == 220
    new = service.insert(made_mail(1, NOON, size=500, attachment=None), internal_date=NOON)

    first = run(project)

    assert (first["inserted"], first["updated"], first["known"]) == (1, 0, 220)
    assert [one.path.rpartition("/")[2] for one in service.requests if "/messages/" in one.path] == [new]
    assert len(ids(project)) == 221


def test_an_expired_history_is_made_up_for_and_told(project: Project, service: GmailService) -> None:
    run(project)
    # Within the days that are fetched anew.
    late = service.insert(made_mail(1, NOON, size=500, attachment=None), internal_date=datetime.now(UTC))
    # And before them: a message that was imported with its old date.
    old = service.insert(made_mail(2, NOON, size=500, attachment=None), internal_date=NOON)
    service.expire_history()

    assert run(project)["inserted"] == 2
    payload = ended(project)
    assert payload["history_expired"] is True
    assert datetime.fromisoformat(payload["listed_since"]) < datetime.now(UTC) - timedelta(days=6)
    assert {late, old} < set(ids(project))
    assert run(project)["records_extracted"] == 0


def test_a_window_is_exact_and_asked_for_in_the_event(project: Project) -> None:
    dates = sorted(message.internal_date for message in takeout_messages())
    since, until = dates[60], dates[160]

    first = run(project, "--since", since.isoformat(), "--until", until.isoformat())

    wanted = {m.id for m in takeout_messages() if since <= m.internal_date < until}
    assert first["inserted"] == len(wanted)
    assert set(ids(project)) == wanted
    assert ended(project)["date_filter"] == {"since": since.isoformat(), "until": until.isoformat()}
    # Again: nothing is fetched, and the rows are seen.
    seen = {row["last_seen"] for row in project.objects()}
    again = run(project, "--since", since.isoformat(), "--until", until.isoformat())
    assert (again["records_extracted"], again["known"]) == (0, len(wanted))
    later = {row["last_seen"] for row in project.objects()}
    assert len(seen) == len(later) == 1
    assert max(seen) < max(later)
    # And the rest, once.
    assert run(project)["inserted"] == 220 - len(wanted)


def test_a_label_that_changed_comes_with_a_window_too(project: Project, service: GmailService) -> None:
    run(project, "--since", "2000-01-01")
    message = takeout_messages()[0]
    service.modify(message.id, add=["STARRED"])
    assert run(project, "--since", "2000-01-01")["updated"] == 1
    assert run(project, "--since", "2000-01-01")["records_extracted"] == 0


def test_a_message_that_always_fails_is_kept_aside_and_asked_for_again(
    project: Project, service: GmailService
) -> None:
    bad = takeout_messages()[7].id
    fault = Fault(method="GET", path=f"/messages/{bad}", action=DOWN, times=10_000)
    service.fail(fault)
    outcome = project.lorchestra("run", JOB)
    run_id = outcome.stdout.split()[0]
    assert "1 rejected" in outcome.stdout
    assert f"lorchestra retry {run_id}" in outcome.stderr
    assert ended(project)["reject_reasons"] == {"http_503": 1}

    service.forget_faults()
    service.reset_log()
    again = project.lorchestra("retry", run_id, "--json").rows[0]

    assert (again["inserted"], again["resolved"], again["rejected"]) == (1, 1, 0)
    assert [one.path.rpartition("/")[2] for one in service.requests if "/messages" in one.path] == [bad]
    parameters = [one for one in project.events() if one["event_type"] == "job.started"][-1]["payload"]
    assert parameters["parameters"]["retry_of"] == run_id
    [line] = (project.spool / "rejects" / f"{run_id}.jsonl").read_text().splitlines()
    assert json.loads(line)["resolved_by"] == again["run_id"]
    # There is nothing left to do, and the next run goes on from where the first ended.
    project.lorchestra("retry", run_id, code=2)
    assert run(project)["records_extracted"] == 0


def test_a_receipt_lists_the_mailbox_and_misses_only_what_was_there_before_the_run(
    project: Project, service: GmailService
) -> None:
    """Mail that arrives later is no loss; a row that is gone is, and so is what the run never fetched."""

    def receipt(code: int = 0) -> dict[str, str]:
        rows = project.lorchestra("verify", JOB, "--json", code=code).rows
        return {row["check"]: f"{row['state']}: {row['expected']}, {row['found']}" for row in rows}

    run(project)
    service.insert(made_mail(1, NOON, size=500, attachment=None), internal_date=datetime.now(UTC))
    service.reset_log()
    assert receipt()["source"] == "ok: 220 at the source, 0 of them not in the table"
    assert not [one for one in service.requests if "/messages/" in one.path]

    lost = takeout_messages()[5].id
    with duckdb.connect(project.database) as connection:
        connection.execute("DELETE FROM events_dev.raw_objects WHERE external_id = ?", [lost])
    found = receipt(code=1)
    assert found["source"] == "missing: 220 at the source, 1 of them not in the table"
    assert found["all objects"] == "missing: 220 in the log, 219 in the table"
    # A window that has it fetches it again.
    run(project, "--since", "2002-01-01")
    assert receipt()["source"].startswith("ok: ")


def test_a_dry_run_fetches_no_message(project: Project, service: GmailService) -> None:
    assert run(project, "--dry-run") == {
        "run_id": None,
        "job_name": JOB,
        "state": "dry run",
        "records_extracted": 220,
        "new": 220,
        "known": 0,
    }
    assert not [one for one in service.requests if "/messages/" in one.path]
    assert not project.database.exists()


def test_the_plan_of_a_long_sync_is_told_first(tmp_path: Path) -> None:
    with gmail_service(made_messages(900, first_date=NOON, step=timedelta(minutes=1), size=300)) as service:
        project = Project(folder=tmp_path, variables=service.variables(SOURCE_SYSTEM))
        project.configure(job(service, 'quota = "new"'))
        outcome = project.lorchestra("run", JOB, "--dry-run")
        assert "900 messages to fetch: 18,000 units of quota, about 3 minutes." in outcome.stderr
        assert "Newest first" in outcome.stderr
        project.configure(job(service, 'quota = "auto"'))
        outcome = project.lorchestra("run", JOB, "--dry-run")
        assert "1 minute or 3 minutes, depending on the limits" in outcome.stderr


# Killed


def fetched_twice(service: GmailService, messages: Iterable[Message]) -> int:
    return sum(service.gets(message.id) - 1 for message in messages)


@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again_every_message_is_there_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    messages = list(made_messages(600, first_date=NOON, step=timedelta(hours=1), size=3_000))
    with gmail_service(messages, latency=0.01) as service:
        project = Project(folder=tmp_path, variables=service.variables(SOURCE_SYSTEM))
        project.configure(job(service, "quota_units_per_minute = 60_000"))
        new: list[str] = []
        kills = 0
        for _ in range(5):
            number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
            process = project.start("run", JOB)
            time.sleep(rng.uniform(0.3, 2.5))
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            assert "Traceback" not in said
            kills += process.returncode != 0
            date = NOON + timedelta(days=400, minutes=len(new))
            raw = made_mail(9_000 + len(new), date, size=500, attachment=None)
            new.append(service.insert(raw, internal_date=date))
        last = run(project)
        assert last["state"] == "succeeded"

        assert ids(project) == sorted([*(message.id for message in messages), *new])
        assert kills > 0
        # Only what was under way when the process died, or had just come, was fetched for nothing.
        assert fetched_twice(service, messages) <= 2 * CALLS_MAX * kills
        assert all(service.gets(one) <= 1 + kills for one in new)
        events = project.events()
        starts = [one["correlation_id"] for one in events if one["event_type"] == "job.started"]
        ends = [one["correlation_id"] for one in events if one["event_type"] in ENDS]
        assert sorted(starts) == sorted(ends)
        assert len(set(starts)) == len(starts)


def test_new_mail_comes_before_the_rest_of_the_backfill_and_changes_are_not_missed(tmp_path: Path) -> None:
    messages = list(made_messages(400, first_date=NOON, step=timedelta(hours=1), size=300))
    with gmail_service(messages) as service:
        project = Project(folder=tmp_path, variables=service.variables(SOURCE_SYSTEM))
        # Slow enough to be killed in the middle: 20 messages a second.
        project.configure(job(service, 'quota = "old"', "quota_units_per_minute = 6_000"))
        process = project.start("run", JOB)
        while len([one for one in service.requests if "/messages/" in one.path]) < 60:
            time.sleep(0.05)
        process.kill()
        process.communicate()
        newest = messages[-1].id
        assert service.gets(newest) == 1
        # Merged already, and changed since: without the history of the killed run this would be missed.
        service.modify(newest, add=["STARRED"])
        deleted = messages[-2].id
        service.delete(deleted)
        date = NOON + timedelta(days=400)
        new = service.insert(made_mail(1, date, size=300, attachment=None), internal_date=date)
        service.reset_log()
        project.configure(job(service, "quota_units_per_minute = 60_000"))

        assert run(project)["state"] == "succeeded"

        fetched = [one.path.rpartition("/")[2] for one in service.requests if "/messages/" in one.path]
        assert set(fetched[:2]) == {new, newest}
        rows = {row["external_id"]: row["payload"] for row in project.objects()}
        assert len(rows) == 401
        assert "STARRED" in rows[newest]["labelIds"]
        assert "_sdc_deleted_at" in rows[deleted]
        dead = [one for one in project.events() if one["event_type"] == "ingestion.failed"]
        assert [one["payload"]["error_code"] for one in dead] == ["run.interrupted"]
        assert dead[0]["payload"]["resume"]["cursor"]["reached"] is None


def test_a_login_that_ends_in_the_middle_costs_nothing_that_was_fetched(
    project: Project, service: GmailService
) -> None:
    refused = answer(401, {"error": {"code": 401, "errors": [{"reason": "authError"}]}})
    service.fail(Fault(method="GET", path="/messages/", action=refused, times=10_000, after=100))
    assert run(project, code=1)["error_code"] == "auth.refused"
    service.forget_faults()
    assert run(project)["state"] == "succeeded"
    assert len(ids(project)) == 220
    assert fetched_twice(service, takeout_messages()) <= CALLS_MAX


def test_nothing_private_leaves_the_payload(project: Project, service: GmailService) -> None:
    service.fail(Fault(method="GET", path="/messages/", action=DOWN, times=2))
    words = project.lorchestra("run", JOB).words
    service.revoke()
    words += project.lorchestra("run", JOB, code=1).words
    words += json.dumps(project.events(), default=str)
    for path in project.spool.rglob("*"):
        if path.is_file():
            words += path.read_text(errors="replace")
    for private in (service.refresh_token, service.client_secret, service.address, "spamassassin"):
        assert private not in words


# What is shown meanwhile


def test_progress_tells_done_total_and_speed_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    messages = list(made_messages(240, first_date=NOON, step=timedelta(hours=1), size=300))
    with gmail_service(messages) as service:
        project = Project(folder=tmp_path, variables=service.variables(SOURCE_SYSTEM))
        project.configure(job(service, 'quota = "old"', "quota_units_per_minute = 12_000"))
        first = on_a_terminal(project, stop_after=100)
        second = on_a_terminal(project)

        assert re.search(r"\d+/240 records [\d.]+/s", _plain(first))
        counts = counts_in(second)
        # What was stored before counts as done.
        assert counts[0] >= 90
        assert counts[-1] == 240
        assert len(ids(project)) == 240


def on_a_terminal(project: Project, *, stop_after: int | None = None) -> str:
    """Run the job where a person would see it; what stood there. Ctrl-C when they have seen enough."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "run", JOB],
        cwd=project.folder,
        env=project.environment({"TERM": "xterm", "COLUMNS": "160"}),
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    shown = ""
    stopped = False
    while True:
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # nobody writes there any more
            break
        done = max([0, *counts_in(shown)])
        if stop_after is not None and not stopped and done >= stop_after:
            process.send_signal(signal.SIGINT)
            stopped = True
    os.close(terminal)
    process.wait(60)
    return shown


def counts_in(shown: str) -> list[int]:
    """The numbers of records done that were shown, one after the other."""
    return [int(number) for number in re.findall(r"(\d+)/240 records", _plain(shown))]


def _plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


# The other store


def test_it_is_the_same_in_bigquery(
    tmp_path: Path, service: GmailService, bigquery_service: ServiceFront
) -> None:
    variables = {
        **service.variables(SOURCE_SYSTEM),
        "BIGQUERY_EMULATOR_HOST": bigquery_service.endpoint,
    }
    url = f"bigquery://p{uuid4().hex[:20]}/events_dev"
    project = Project(folder=tmp_path, variables=variables, store_url=url)
    project.configure(job(service, "include_spam_trash = true"))
    project.lorchestra("setup")
    starred, deleted, *_ = [message.id for message in takeout_messages()]

    assert run(project, "--since", "2002-10-15")["inserted"] == 114
    assert run(project)["inserted"] == 106
    service.modify(starred, add=["STARRED"])
    service.delete(deleted)
    changed = run(project)
    assert (changed["updated"], changed["gone"]) == (2, 1)
    before = {row["external_id"]: row["last_seen"] for row in project.objects()}
    window = run(project, "--since", "2002-10-15")
    after = {row["external_id"]: row["last_seen"] for row in project.objects()}

    assert (window["records_extracted"], len(after)) == (0, 220)
    assert sum(after[one] > before[one] for one in after) == window["known"] > 100
    assert run(project)["records_extracted"] == 0


# Windows, run after run


def test_windows_alone_keep_up_with_changes(project: Project, service: GmailService) -> None:
    """Whoever always gives --since gets every change in the window, and fetches each message once for it."""
    window = ("--since", "2002-10-15")
    run(project, *window)
    first, second, third, *_ = [
        one.id
        for one in sorted(takeout_messages(), key=lambda one: one.internal_date, reverse=True)
        if not {"SPAM", "TRASH"} & set(one.label_ids)
    ]
    project.configure(job(service))
    service.modify(first, add=["STARRED"])
    service.trash(second)
    service.delete(third)
    spam = service.insert(made_mail(1, NOON, size=300, attachment=None), internal_date=NOON, labels=["SPAM"])
    service.reset_log()

    changed = run(project, *window)

    assert (changed["updated"], changed["gone"], changed["inserted"]) == (3, 1, 0)
    rows = {row["external_id"]: row["payload"] for row in project.objects()}
    assert "STARRED" in rows[first]["labelIds"]
    # It is in no listing any more, and follows all the same.
    assert "TRASH" in rows[second]["labelIds"]
    assert "_sdc_deleted_at" in rows[third]
    assert spam not in rows
    service.reset_log()
    assert run(project, *window)["records_extracted"] == 0
    assert not [one for one in service.requests if "/messages/" in one.path]


def test_a_window_does_not_hide_from_later_runs_what_lies_outside(
    project: Project, service: GmailService
) -> None:
    run(project)
    old = min(takeout_messages(), key=lambda one: one.internal_date).id
    service.modify(old, add=["STARRED"])
    imported = datetime(2001, 1, 1, tzinfo=UTC)
    late = service.insert(made_mail(1, imported, size=300, attachment=None), internal_date=imported)

    assert run(project, "--since", "2002-10-15")["records_extracted"] == 0

    assert (run(project)["inserted"], run(project)["records_extracted"]) == (1, 0)
    rows = {row["external_id"]: row["payload"] for row in project.objects()}
    assert "STARRED" in rows[old]["labelIds"]
    assert late in rows


def test_windows_get_over_an_expired_history_and_leave_the_rest_to_a_whole_run(
    project: Project, service: GmailService
) -> None:
    window = ("--since", "2002-10-15")
    run(project)
    inside, outside = (
        max(takeout_messages(), key=lambda one: one.internal_date).id,
        service.insert(
            made_mail(1, NOON - timedelta(days=9000), size=300, attachment=None),
            internal_date=NOON - timedelta(days=9000),
        ),
    )
    service.modify(inside, add=["STARRED"])
    service.expire_history()

    assert run(project, *window)["updated"] == 1
    assert ended(project)["history_expired"] is True
    # The next window has a history again; a run without one finds what was left.
    assert run(project, *window)["records_extracted"] == 0
    assert ended(project)["cursor"]["stale_since"] is not None
    assert run(project)["inserted"] == 1
    assert outside in ids(project)
    assert ended(project)["cursor"]["stale_since"] is None
    assert run(project)["records_extracted"] == 0


def test_old_mail_that_is_moved_about_is_not_fetched_into_a_short_backfill(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    messages = list(
        made_messages(20, first_date=now - timedelta(days=200), step=timedelta(days=10), size=300)
    )
    with gmail_service(messages) as service:
        project = Project(folder=tmp_path, variables=service.variables(SOURCE_SYSTEM))
        project.configure(job(service, 'backfill = "90d"'))
        stored = run(project)["inserted"]
        assert 7 <= stored <= 10
        service.modify(messages[0].id, add=["STARRED"])
        new = service.insert(
            made_mail(99, now - timedelta(days=500), size=300, attachment=None),
            internal_date=now - timedelta(days=500),
        )
        run(project)
        # What arrives is new, whatever its date.
        assert set(ids(project)) == {new, *(message.id for message in messages[-stored:])}
        project.configure(job(service))
        assert run(project)["inserted"] == 20 - stored
        assert len(ids(project)) == 21
