"""What it takes to work with a dataset in BigQuery, checked one after the other by doing a little of it."""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from lorchestra.errors import StoreAccessError, StoreError
from lorchestra.model import Difference, Finding, TableNames
from lorchestra.setup import SETUP_COMMAND
from lorchestra.stores.bigquery_client import CALL_SECONDS, Connection
from lorchestra.stores.bigquery_errors import SERVICE_ERRORS, explained, reason_of, service_errors
from lorchestra.stores.bigquery_staging import PREFIX, drop
from lorchestra.stores.bigquery_statements import statement
from lorchestra.stores.doctor import tables_finding

_SHORT_LIFE = timedelta(hours=1)


def diagnose(
    connection: Connection, tables: TableNames, check_tables: Callable[[], list[Difference]]
) -> list[Finding]:
    """Store, credentials, jobs, dataset, tables, staging. What depends on something missing is unknown."""
    return list(_findings(connection, tables, check_tables))


def _findings(
    connection: Connection, tables: TableNames, check_tables: Callable[[], list[Difference]]
) -> Iterator[Finding]:
    project = connection.target.project
    yield Finding(check="store", ok=True, found=f"BigQuery, project {project}, dataset {tables.dataset}")
    try:
        with service_errors():
            client = connection.client
    except StoreError as error:
        yield Finding(check="credentials", ok=False, found=error.message, fix=error.next_step)
        return
    who = None
    try:
        who = _identity(connection)
    except SERVICE_ERRORS as error:
        if not isinstance(explained(error), StoreAccessError):
            yield _refused(error, check="credentials")
            return
        yield Finding(check="credentials", ok=True, found="accepted; the identity is not told")
        fix = _grant(project, who, "roles/bigquery.jobUser")
        yield _refused(error, check="run jobs", needs="bigquery.jobs.create", fix=fix)
    else:
        yield Finding(check="credentials", ok=True, found=who)
        yield Finding(check="run jobs", ok=True, found=f"bigquery.jobs.create in {client.project}")
    yield from _dataset(connection, tables, who, check_tables)


def _identity(connection: Connection) -> str:
    job = connection.client.query(
        statement("session_user"), retry=connection.retry, timeout=CALL_SECONDS, job_retry=None
    )
    [row] = job.result(retry=connection.retry, timeout=CALL_SECONDS, job_retry=None)
    return str(row["who"])


def _dataset(
    connection: Connection,
    tables: TableNames,
    who: str | None,
    check_tables: Callable[[], list[Difference]],
) -> Iterator[Finding]:
    client = connection.client
    reference = bigquery.DatasetReference(client.project, tables.dataset)
    try:
        dataset = client.get_dataset(reference, retry=connection.retry, timeout=CALL_SECONDS)
    except NotFound:
        yield Finding(check="dataset", ok=False, found="is not there", fix=SETUP_COMMAND)
        yield _new_dataset(connection, who)
        yield Finding(check="tables", ok=None, found="there is no dataset yet")
        yield Finding(check="write tables", ok=None, found="there is no dataset yet")
    except SERVICE_ERRORS as error:
        fix = _grant(client.project, who, "roles/bigquery.dataEditor")
        yield _refused(error, check="dataset", needs="bigquery.datasets.get", fix=fix)
    else:
        yield Finding(check="dataset", ok=True, found=f"is there, in {dataset.location}")
        yield tables_finding(check_tables)
        yield _staging(connection, reference, who)


def _new_dataset(connection: Connection, who: str | None) -> Finding:
    """Make an empty dataset under another name, and drop it: what `setup` will do."""
    client = connection.client
    dataset = bigquery.Dataset(
        bigquery.DatasetReference(client.project, f"lorchestra_doctor_{secrets.token_hex(4)}")
    )
    if client.location is not None:
        dataset.location = client.location

    def attempt() -> None:
        client.create_dataset(dataset, retry=connection.retry, timeout=CALL_SECONDS)
        client.delete_dataset(dataset, not_found_ok=True, retry=connection.retry, timeout=CALL_SECONDS)

    return _attempted(
        attempt,
        check="make datasets",
        needs="bigquery.datasets.create",
        found="one could be made and dropped",
        fix=_grant(client.project, who, "roles/bigquery.user"),
    )


def _staging(connection: Connection, dataset: bigquery.DatasetReference, who: str | None) -> Finding:
    """Make an empty table, and drop it: what every batch does."""
    table = bigquery.Table(
        dataset.table(f"{PREFIX}doctor_{secrets.token_hex(4)}"), schema=[bigquery.SchemaField("a", "STRING")]
    )
    table.expires = datetime.now(UTC) + _SHORT_LIFE

    def attempt() -> None:
        connection.client.create_table(table, retry=connection.retry, timeout=CALL_SECONDS)
        drop(connection, table.reference)

    return _attempted(
        attempt,
        check="write tables",
        needs="bigquery.tables.create, .delete",
        found="a table could be made and dropped",
        fix=_grant(dataset.project, who, "roles/bigquery.dataEditor"),
    )


def _attempted(attempt: Callable[[], None], *, check: str, needs: str, found: str, fix: str) -> Finding:
    try:
        attempt()
    except SERVICE_ERRORS as error:
        return _refused(error, check=check, needs=needs, fix=fix)
    return Finding(check=check, ok=True, found=found)


def _refused(error: Exception, *, check: str, needs: str = "", fix: str = "") -> Finding:
    """What was not permitted, with the permission that it needs; any other trouble in its own words."""
    trouble = explained(error)
    if isinstance(trouble, StoreAccessError):
        return Finding(check=check, ok=False, found=f"{needs}: {reason_of(error)}", fix=fix)
    return Finding(check=check, ok=False, found=trouble.message, fix=trouble.next_step)


def _grant(project: str, who: str | None, role: str) -> str:
    kind = "serviceAccount" if who and who.endswith(".gserviceaccount.com") else "user"
    member = f"{kind}:{who}" if who else "user:YOUR_ADDRESS"
    return f"gcloud projects add-iam-policy-binding {project} --member={member} --role={role}"
