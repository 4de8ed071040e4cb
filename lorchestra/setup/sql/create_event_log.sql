-- What happened: append-only, one row an event.
CREATE TABLE IF NOT EXISTS `events_dev.event_log` (
  event_id STRING NOT NULL,
  event_type STRING NOT NULL,
  source_system STRING NOT NULL,
  object_type STRING,
  idem_key STRING,
  correlation_id STRING NOT NULL,
  trace_id STRING,
  created_at TIMESTAMP NOT NULL,
  status STRING NOT NULL,
  error_message STRING,
  payload JSON
)
PARTITION BY DATE(created_at)
CLUSTER BY source_system, object_type, event_type
OPTIONS (description = 'What ran, when, for how long, and why it failed: append-only.');
