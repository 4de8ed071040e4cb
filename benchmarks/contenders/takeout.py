"""A mailbox by the source `takeout` and `upsert_objects()`: `python takeout.py MBOX FILE [tracked]`.

`tracked` logs the three events of a run as a run does; without it there are none.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import Record, Window
from lorchestra.sources.base import SourceContext
from lorchestra.sources.takeout import TAKEOUT
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stores import open_store

mailbox, file, *tracked = sys.argv[1:]
started = time.monotonic()
run_id = f"sample-{datetime.now(UTC):%Y%m%d%H%M%S}"
store = open_store(f"duckdb:///{file}")


def log(event_type: str, source_system: str, object_type: str, payload: dict[str, Any]) -> None:
    if tracked:
        log_event(
            event_type=event_type,
            source_system=source_system,
            object_type=object_type,
            correlation_id=run_id,
            payload=payload,
            bq_client=store,
        )


job: dict[str, Any] = {"job_name": "sample", "package_name": "lorchestra"}
with store:
    store.create_tables()
    log("job.started", "lorchestra", "job_run", {**job, "parameters": {"path": mailbox}, "host": "host"})
    source = TAKEOUT.open(
        TAKEOUT.options.model_validate({"path": mailbox}),
        SourceContext(base=Path.cwd(), source_system="bench", environment={}),
    )
    result = upsert_objects(
        objects=(one.data for one in source.records(Window(), None) if isinstance(one, Record)),
        source_system="bench",
        object_type="email",
        correlation_id=run_id,
        idem_key_fn=gmail_idem_key("bench"),
        bq_client=store,
    )
    seconds = round(time.monotonic() - started, 3)
    counts = {"inserted": result.inserted, "updated": result.updated, "unchanged": result.unchanged}
    telemetry = {**counts, "duration_seconds": seconds, "seen_at": result.seen_at.isoformat()}
    log("ingestion.completed", "bench", "email", {**telemetry, "date_filter": {}, "cursor": None})
    log("job.completed", "lorchestra", "job_run", {**job, "duration_seconds": seconds})
