"""The event client: facts go to `event_log`, objects go to `raw_objects`, and neither does the other's work.

`log_event` records that something happened, with small telemetry. `upsert_objects` merges objects in batches.
Both take a `bq_client`: any lorchestra store, or a BigQuery client.
"""

from lorchestra.stack_clients.event_client.events import log_event
from lorchestra.stack_clients.event_client.objects import upsert_objects

__all__ = ["log_event", "upsert_objects"]
