-- Each object once, by its idempotency key.
CREATE TABLE IF NOT EXISTS `events_dev.raw_objects` (
  idem_key STRING NOT NULL,
  source_system STRING NOT NULL,
  object_type STRING NOT NULL,
  external_id STRING,
  payload JSON NOT NULL,
  first_seen TIMESTAMP NOT NULL,
  last_seen TIMESTAMP NOT NULL
)
CLUSTER BY idem_key, source_system, object_type
OPTIONS (description = 'Each object once, in its latest state, by its idempotency key.');
