"""Commands about the store itself: its tables, whether it and the jobs can be used, and moving to another."""

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lorchestra.cli_base import opened_store, say, settled_store, shown_progress, with_settings
from lorchestra.errors import ConfigError, LorchestraError, StoreAccessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lorchestra.config import Settings
    from lorchestra.model import Finding

_STATES = {True: "ok", False: "missing", None: "unknown"}


@click.command()
@click.option("--check", is_flag=True, help="Only compare; exit 2 when something differs.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as a JSON array of objects.")
@with_settings
def setup(*, check: bool, as_json: bool, settings: "Settings") -> None:
    """Make the tables or bring them up to date, and check them.

    An older event log gets the columns of today, its rows as they are;
    raw_objects is never altered. Each difference is shown with the statement that mends it.
    """
    from lorchestra.terminal import print_rows

    store = opened_store(settings)
    if not check:
        # First: the view needs the columns that an older event log lacks.
        store.migrate()
        store.create_tables()
    differences = store.check_tables()
    rows = [
        {
            "table": one.table,
            "column": one.column,
            "expected": one.expected,
            "found": one.found or "nothing",
            "mend": one.mend,
        }
        for one in differences
    ]
    if as_json:
        print_rows(("table", "column", "expected", "found", "mend"), rows, form="json")
    elif rows:
        print_rows(("table", "column", "expected", "found"), rows, form="table")
        # Below the table and whole: to be copied.
        for mend in dict.fromkeys(one.mend for one in differences if one.mend):
            click.echo(f"{mend};" if mend.startswith("ALTER ") else mend)
    if not differences:
        say(f"{store.tables.dataset}: both tables are as they should be.")
        return
    ours = any(one.mend and one.table == store.tables.event_log for one in differences)
    missing = any(one.column is None for one in differences)
    raise UsageError(
        f"{store.tables.dataset}: {len(differences)} differences",
        next_step="Run `lorchestra setup` to mend what can be mended without loss."
        if ours or missing
        else "lorchestra alters nothing of what is left: mend it by hand, in the store's own tool.",
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@with_settings
def doctor(*, as_json: bool, settings: "Settings") -> None:
    """Say what is wrong with the store and the logins of jobs, and what to type.

    Which store is used, as whom, what is permitted there, and whether the tables fit; whether others may
    read what is kept on this machine;
    then which login each job uses, whether it is accepted, and when it will end; and whether the URLs of
    notifications can be used.
    """
    from lorchestra.file_modes import open_to_others
    from lorchestra.jobs.registry import job_findings
    from lorchestra.model import Finding
    from lorchestra.terminal import print_rows

    of_jobs = job_findings(settings)
    try:
        findings = _store_findings(settings)
    except LorchestraError as error:
        if not of_jobs:
            raise
        findings = [Finding(check="store", ok=False, found=error.message, fix=error.next_step)]
    findings = [
        *findings,
        *open_to_others("spool", settings.spool.path),
        *_waiting_elsewhere(settings),
        *of_jobs,
        *_notifier_findings(settings),
    ]
    rows = [
        {"check": one.check, "state": _STATES[one.ok], "found": one.found, "fix": one.fix} for one in findings
    ]
    if as_json:
        print_rows(("check", "state", "found", "fix"), rows, form="json")
    else:
        print_rows(("check", "state", "found"), rows, form="table")
        # Below the table and whole: to be copied.
        for one in findings:
            if one.fix and not one.ok:
                click.echo(f"{one.check}: {one.fix}")
    if any(one.ok is False for one in findings):
        raise click.exceptions.Exit(1)


def _notifier_findings(settings: "Settings") -> "list[Finding]":
    if not settings.notify.urls:
        return []
    from lorchestra.notifier import notifier_findings

    return notifier_findings(settings.notify.urls)


def _store_findings(settings: "Settings") -> "list[Finding]":
    from lorchestra.stores.base import Diagnoses

    store = opened_store(settings)
    if not isinstance(store, Diagnoses):
        raise UsageError("store: this kind of store cannot be examined")
    return store.diagnose()


def _waiting_elsewhere(settings: "Settings") -> "list[Finding]":
    """Events in the outbox that are of other stores: nothing delivers them here."""
    from collections import Counter

    from lorchestra.model import Finding
    from lorchestra.outbox import Outbox
    from lorchestra.stores.base import address_of

    here = address_of(opened_store(settings))
    elsewhere = Counter(one.store for one in Outbox(settings.spool.path).waiting() if one.store != here)
    return [
        Finding(
            check="outbox",
            ok=False,
            found=f"{count} events wait for another store: {address}",
            fix="Type: lorchestra runs --store-url URL, with the URL of that store",
        )
        for address, count in elsewhere.items()
    ]


@click.command()
@click.option("--to", "target_url", metavar="URL", required=True, help="The store to copy to.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as a JSON array of one object.")
@with_settings
def copy(*, target_url: str, as_json: bool, settings: "Settings") -> None:
    """Copy both tables to another store, and check them.

    What is there already is left out, so the command can be given again at any time: after an interruption it
    goes on, and later it brings what is new.
    """
    from dataclasses import asdict

    from lorchestra.jobs.context import JobProgress
    from lorchestra.store_copy import copy_store, raise_if_incomplete
    from lorchestra.terminal import print_rows

    source = settled_store(settings)
    with _told_of_target(target_url):
        target = opened_store(_settings_of_target(target_url, settings))
        with target, shown_progress("copy") as (show, _):
            result = copy_store(source, target, report=lambda done: show(JobProgress(records=done)))
    if as_json:
        print_rows(list(asdict(result)), [asdict(result)], form="json")
    else:
        for name in ("events", "objects"):
            there, copied = getattr(result, name), getattr(result, f"{name}_copied")
            verified = getattr(result, f"{name}_verified")
            click.echo(
                f"{name}: {there:,} in the source, {copied:,} copied now, {verified:,} found in the target"
            )
    raise_if_incomplete(result)
    # Not repeated: the URL of a store of another package may hold a password.
    say("To use it from now on, set url under [store] to what --to was.")


def _settings_of_target(url: str, settings: "Settings") -> "Settings":
    """What a command would go by with this `--store-url`: the names of the tables stay."""
    from lorchestra.config import Overrides, load_settings
    from lorchestra.store_url import dataset_in

    dataset = None if dataset_in(url) is not None else settings.store.dataset
    return load_settings(settings.path, overrides=Overrides(store_url=url, dataset=dataset))


@contextmanager
def _told_of_target(url: str) -> "Iterator[None]":
    """Errors of the store that is copied to, in the words of this command."""
    try:
        yield
    except ConfigError as error:
        message, next_step = (
            text.replace("--store-url", "--to").replace("store.url", "--to")
            for text in (error.message, error.next_step)
        )
        raise type(error)(message, next_step=next_step, place=error.place) from None
    except StoreAccessError as error:
        # Only a service has permissions, so it is the one copied to.
        error.next_step = f"Run `lorchestra doctor --store-url {shlex.quote(url)}` to see what is missing."
        raise
