"""`upsert_objects()` from an iterator of parsed lines."""

import sys
from pathlib import Path

import orjson

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store

with Path(sys.argv[1]).open("rb") as lines, open_store(f"duckdb:///{sys.argv[2]}") as store:
    upsert_objects(
        objects=map(orjson.loads, lines),
        source_system="bench",
        object_type="email",
        correlation_id="bench",
        idem_key_fn=gmail_idem_key("bench"),
        bq_client=store,
    )
