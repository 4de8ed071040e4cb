"""The Gmail job: mail as Gmail message resources, from whichever source gives them."""

from lorchestra.errors import ConfigError
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.jobs.context import JobContext, JobResult
from lorchestra.jobs.ingest import ingest
from lorchestra.sources.base import Source, SourceType

OBJECT_TYPE = "email"


def ingest_gmail(context: JobContext, *, source: Source, kind: SourceType) -> JobResult:
    """Ingest mail under `gmail_idem_key`: one `ingestion.completed`, batches of messages, no event a message.

    Raises:
        ConfigError: the job's object_type is not `email`, which is part of every message's key.
    """
    if (context.object_type or OBJECT_TYPE) != OBJECT_TYPE:
        raise ConfigError(
            f'jobs.{context.job_name}.object_type: must be "{OBJECT_TYPE}" for this source',
            next_step=f'Write object_type = "{OBJECT_TYPE}", or leave it out.',
        )
    return ingest(context, source=source, kind=kind, idem_key_fn=gmail_idem_key(context.source_system or ""))
