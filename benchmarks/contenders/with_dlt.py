"""A pipeline that merges by primary key; the payload is one column of JSON, files are Parquet."""

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}

import dlt
import orjson


@dlt.resource(
    name="raw_objects",
    primary_key="idem_key",
    write_disposition="merge",
    columns={"payload": {"data_type": "text"}},
)
def objects() -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    with Path(sys.argv[1]).open("rb") as lines:
        for obj in map(orjson.loads, lines):
            yield {
                "idem_key": f"bench:email:{obj['id']}",
                "source_system": "bench",
                "object_type": "email",
                "external_id": obj["id"],
                "payload": orjson.dumps(obj).decode(),
                "last_seen": now,
            }


with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=folder, destination=dlt.destinations.duckdb(sys.argv[2]), dataset_name="bench"
    )
    pipeline.run(objects(), loader_file_format="parquet")
