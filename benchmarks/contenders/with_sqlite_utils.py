"""`upsert_all()` with a primary key. It does not keep first_seen, nor count what changed."""

import sys
import time
from pathlib import Path

import orjson
from sqlite_utils import Database

now = time.time()
with Path(sys.argv[1]).open("rb") as lines:
    Database(sys.argv[2])["raw_objects"].upsert_all(
        (
            {
                "idem_key": f"bench:email:{obj['id']}",
                "source_system": "bench",
                "object_type": "email",
                "external_id": obj["id"],
                "payload": orjson.dumps(obj).decode(),
                "last_seen": now,
            }
            for obj in map(orjson.loads, lines)
        ),
        pk="idem_key",
        batch_size=5000,
    )
