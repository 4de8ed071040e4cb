"""An Airbyte source of one stream, read into PyAirbyte's DuckDB cache with a primary key.

Called with `read` and what else Airbyte's protocol gives a source, this file is that source.
"""

import os
import sys
from pathlib import Path

import orjson

COLUMNS = ("idem_key", "external_id", "payload")


def source(command: str) -> None:
    """Airbyte's protocol: `spec`, `check`, `discover` and `read`, a message a line."""
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in COLUMNS}}
    stream = {
        "name": "raw_objects",
        "json_schema": schema,
        "supported_sync_modes": ["full_refresh"],
        "source_defined_primary_key": [["idem_key"]],
    }
    match command:
        case "spec":
            _say({"type": "SPEC", "spec": {"connectionSpecification": {"type": "object", "properties": {}}}})
        case "check":
            _say({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}})
        case "discover":
            _say({"type": "CATALOG", "catalog": {"streams": [stream]}})
        case "read":
            with Path(os.environ["BENCH_OBJECTS"]).open("rb") as lines:
                for obj in map(orjson.loads, lines):
                    data = {
                        "idem_key": f"bench:email:{obj['id']}",
                        "external_id": obj["id"],
                        "payload": orjson.dumps(obj).decode(),
                    }
                    _say(
                        {"type": "RECORD", "record": {"stream": "raw_objects", "data": data, "emitted_at": 0}}
                    )


def _say(message: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")


def load(objects: str, file: str) -> None:
    os.environ |= {"BENCH_OBJECTS": objects, "DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1"}
    import airbyte

    executable = Path(f"{file}.source")
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    executable.chmod(0o700)
    reader = airbyte.get_source(
        "source-bench", local_executable=executable, config={}, install_if_missing=False
    )
    reader.select_all_streams()
    cache = airbyte.caches.DuckDBCache(db_path=file, schema_name="bench")
    reader.read(cache, write_strategy="merge", force_full_refresh=True)


if __name__ == "__main__":
    if sys.argv[1] in {"spec", "check", "discover", "read"}:
        source(sys.argv[1])
    else:
        load(sys.argv[1], sys.argv[2])
