"""A ready file of JSON Lines by Google's client: `python google_client.py FILE ENDPOINT`."""

import sys
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

anonymous: Any = AnonymousCredentials
client = bigquery.Client(
    project="bench-project", credentials=anonymous(), client_options={"api_endpoint": sys.argv[2]}
)
config = bigquery.LoadJobConfig(
    source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
    schema=[
        bigquery.SchemaField("idem_key", "STRING"),
        bigquery.SchemaField("external_id", "STRING"),
        bigquery.SchemaField("payload", "JSON"),
    ],
)
with Path(sys.argv[1]).open("rb") as lines:
    client.load_table_from_file(lines, "bench-project.bench.staged", job_config=config).result()
