"""Commands for the beginning: a first configuration, and completion in the shell."""

from pathlib import Path

import click

from lorchestra.cli_base import say
from lorchestra.errors import UsageError


@click.command()
@click.option(
    "--mailbox",
    type=click.Path(),
    default="takeout.mbox",
    show_default=True,
    help="The mailbox to begin with.",
)
def init(mailbox: str) -> None:
    """Write a lorchestra.toml to begin with into this folder."""
    from lorchestra.first_config import FILE_NAME, first_config

    path = Path(FILE_NAME)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(first_config(mailbox))
    except FileExistsError:
        raise UsageError(f"{FILE_NAME}: is there already", next_step="Edit it, or move it away.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(
            f"{FILE_NAME}: cannot be written: {reason}", next_step="Go to a folder that can be written."
        ) from None
    say(f"Wrote {FILE_NAME}. Correct its path, then type: lorchestra run gmail_ingest_acct1")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell, to be sourced there."""
    from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

    kinds: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    click.echo(kinds[shell](ctx.find_root().command, {}, "lorchestra", "_LORCHESTRA_COMPLETE").source())
