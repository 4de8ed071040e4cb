"""What distinguishes a table from the one that is needed, and the statements that mend it without loss."""

from collections.abc import Iterable, Iterator, Mapping

from lorchestra.model import Difference
from lorchestra.setup import SETUP_COMMAND

#: What is expected where a table has a column of the user's own.
NO_SUCH_COLUMN = "no such column"

Columns = tuple[tuple[str, str, bool], ...]


def differences(
    table: str, columns: Columns, found: Mapping[str, str] | None, *, types: Mapping[str, str], quoted: str
) -> Iterator[Difference]:
    """Compare `columns` with what was `found`: the description of each column, None where there is no table.

    `types` are the store's names of GoogleSQL's types; `quoted` is the table in its statements.
    """
    if found is None:
        yield Difference(table=table, column=None, expected="a table", found=None, mend=SETUP_COMMAND)
        return
    for name, kind, nullable in columns:
        wanted = described(types.get(kind, kind), nullable=nullable)
        actual = found.get(name)
        if actual == wanted:
            continue
        mend = None
        if nullable and actual is None:
            # A column that is added to a table that has rows cannot be required.
            mend = f"ALTER TABLE {quoted} ADD COLUMN IF NOT EXISTS {name} {wanted}"
        elif nullable and actual == described(wanted, nullable=False):
            mend = f"ALTER TABLE {quoted} ALTER COLUMN {name} DROP NOT NULL"
        yield Difference(table=table, column=name, expected=wanted, found=actual, mend=mend)
    known = {name for name, _, _ in columns}
    for name, actual in found.items():
        if name not in known:
            yield Difference(table=table, column=name, expected=NO_SUCH_COLUMN, found=actual)


def fits(found: Iterable[Difference]) -> bool:
    """Whether every column that is needed is there, as it should be; a table may have more."""
    return all(one.expected == NO_SUCH_COLUMN for one in found)


def described(kind: str, *, nullable: bool) -> str:
    """A column's type and whether it may be NULL."""
    return kind if nullable else f"{kind} NOT NULL"
