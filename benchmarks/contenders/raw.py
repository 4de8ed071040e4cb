"""The engine's own `INSERT … SELECT` of the file: no keys are compared, and nothing is de-duplicated.

A third argument is the size of the largest object, where the engine's own bound is too low for it.
"""

import sys

import duckdb

with duckdb.connect(sys.argv[2]) as connection:
    connection.execute(
        """
        CREATE TABLE IF NOT EXISTS raw_objects (
            idem_key VARCHAR NOT NULL, source_system VARCHAR NOT NULL, object_type VARCHAR NOT NULL,
            external_id VARCHAR, payload JSON NOT NULL, first_seen TIMESTAMPTZ NOT NULL,
            last_seen TIMESTAMPTZ NOT NULL
        )
        """
    )
    connection.execute(
        f"""
        INSERT INTO raw_objects
        SELECT 'bench:email:' || (json ->> '$.id'), 'bench', 'email', json ->> '$.id', json, now(), now()
        FROM read_ndjson_objects($path{"".join(f", maximum_object_size = {int(n)}" for n in sys.argv[3:])})
        """,
        {"path": sys.argv[1]},
    )
