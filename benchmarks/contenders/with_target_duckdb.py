"""A Singer tap of one stream, piped into `target-duckdb` with a primary key."""

import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

SCHEMA = {"properties": {name: {"type": ["string"]} for name in ("idem_key", "external_id", "payload")}}

target = Path(sys.executable).with_name("target-duckdb")
with tempfile.TemporaryDirectory() as folder:
    config = Path(folder) / "config.json"
    config.write_bytes(orjson.dumps({"filepath": sys.argv[2], "default_target_schema": "bench"}))
    with subprocess.Popen(
        [target, "--config", config], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as loading:
        assert loading.stdin is not None
        schema = {"type": "SCHEMA", "stream": "raw_objects", "schema": SCHEMA, "key_properties": ["idem_key"]}
        loading.stdin.write(orjson.dumps(schema) + b"\n")
        with Path(sys.argv[1]).open("rb") as lines:
            for obj in map(orjson.loads, lines):
                record = {
                    "idem_key": f"bench:email:{obj['id']}",
                    "external_id": obj["id"],
                    "payload": orjson.dumps(obj).decode(),
                }
                message = {"type": "RECORD", "stream": "raw_objects", "record": record}
                loading.stdin.write(orjson.dumps(message) + b"\n")
        loading.stdin.close()
    if loading.returncode:
        sys.exit(loading.returncode)
