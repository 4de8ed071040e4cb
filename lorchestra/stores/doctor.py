"""What a doctor says of any store."""

from collections.abc import Callable

from lorchestra.errors import StoreError
from lorchestra.model import Difference, Finding
from lorchestra.setup import SETUP_COMMAND


def tables_finding(check_tables: Callable[[], list[Difference]]) -> Finding:
    """Whether both tables are as they should be."""
    try:
        differences = check_tables()
    except StoreError as error:
        return Finding(check="tables", ok=False, found=error.message, fix=error.next_step)
    if not differences:
        return Finding(check="tables", ok=True, found="both are as they should be")
    fix = f"{SETUP_COMMAND} --check; then {SETUP_COMMAND}"
    return Finding(check="tables", ok=False, found=f"{len(differences)} differences", fix=fix)
