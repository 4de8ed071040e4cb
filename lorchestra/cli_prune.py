"""The command that deletes old events."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lorchestra.cli_base import opened_store, say, with_settings
from lorchestra.cli_run import accounted, own_context, print_outcome

if TYPE_CHECKING:
    from lorchestra.config import Settings

_NAME = "prune"


@click.command()
@click.option(
    "--events",
    "age",
    metavar="AGE",
    default="400d",
    show_default=True,
    help="Events of runs that ended longer ago: days or weeks, such as 400d or 52w; 1d at least.",
)
@click.option("--yes", is_flag=True, help="Delete them; without it nothing is written.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of one object.")
@with_settings
def prune(*, age: str, yes: bool, as_json: bool, settings: "Settings") -> None:
    """Delete the events of runs that ended long ago; without --yes, only say how many that would be.

    Only whole runs go. A run without an end stays, and so does the run that says where a source goes on.
    raw_objects is not touched. The pruning itself is a run, with an account of its own.
    """
    from lorchestra.retention import moment_before, prunable
    from lorchestra.terminal import print_rows
    from lorchestra.timespan import parse_age

    before = moment_before(parse_age("--events", age), now=datetime.now(UTC))
    found = prunable(opened_store(settings), before)
    if yes and found is not None:
        _delete(before, age=age, as_json=as_json, settings=settings)
        return
    outcome = {"run_id": None, "job_name": _NAME, "state": "dry run", "before": before}
    outcome |= dict.fromkeys(("events", "runs", "began", "ended")) | {"events": 0, "runs": 0}
    told = f"nothing to prune: no run ended before {_shown(before)}"
    if found is not None and found.events:
        outcome |= {name: getattr(found, name) for name in ("events", "runs", "began", "ended")}
        told = (
            f"prune dry run: {found.events:,} events of {found.runs:,} runs would be deleted, "
            f"from {_shown(found.began)} to {_shown(found.ended)}"
        )
    if as_json:
        print_rows(list(outcome), [outcome], form="json")
    else:
        click.echo(told)
    if outcome["events"]:
        say(f"To delete them, type: lorchestra prune --events {age} --yes")


def _delete(before: datetime, *, age: str, as_json: bool, settings: "Settings") -> None:
    from lorchestra.retention import prune as pruned

    outcome = accounted(
        lambda context: pruned(context, before),
        own_context(_NAME, settings),
        package_name="lorchestra",
        parameters={"events": age},
    )
    print_outcome(outcome, as_json=as_json)


def _shown(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
