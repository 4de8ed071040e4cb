"""Objects through the BigQuery store: `python to_bigquery.py OBJECTS objects|ready`.

`objects`: `upsert_objects()` from an iterator of parsed lines, as any source is merged. `ready`: the same
batches of keys and serialised payloads handed to the store's `merge()`, which is what staging alone costs.
"""

import re
import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import orjson

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import StagedBatch
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store

_ID = re.compile(rb'"id":"([^"]+)"')
#: Of 78 KB each, they are about as many as the store's bound on bytes lets into a batch.
_BATCH = 400

with Path(sys.argv[1]).open("rb") as lines, open_store("bigquery://bench-project/bench") as store:
    if sys.argv[2] == "objects":
        upsert_objects(
            objects=map(orjson.loads, lines),
            source_system="bench",
            object_type="email",
            correlation_id="bench",
            idem_key_fn=gmail_idem_key("bench"),
            bq_client=store,
        )
    else:
        seen_at, index = datetime.now(UTC), 0
        while payloads := [line.rstrip() for line in islice(lines, _BATCH)]:
            ids = [found[1].decode() for line in payloads if (found := _ID.search(line))]
            store.merge(
                StagedBatch(
                    source_system="bench",
                    object_type="email",
                    correlation_id="bench",
                    trace_id=None,
                    index=index,
                    seen_at=seen_at,
                    idem_keys=[f"bench:email:{one}" for one in ids],
                    external_ids=ids,
                    payloads=payloads,
                )
            )
            index += 1
