-- One row per ingestion: what a run read from one source, and where it ended.
SELECT
  event_id,
  correlation_id AS run_id,
  source_system,
  object_type,
  IF(event_type = 'ingestion.completed', 'succeeded', 'failed') AS state,
  created_at AS ended_at,
  -- What is no number of seconds (an event may be anybody's) is none.
  IF(SAFE_CAST(JSON_VALUE(payload, '$.duration_seconds') AS FLOAT64) BETWEEN 0 AND 1e12,
    SAFE_CAST(JSON_VALUE(payload, '$.duration_seconds') AS FLOAT64), NULL) AS duration_seconds,
  SAFE_CAST(JSON_VALUE(payload, '$.records_extracted') AS INT64) AS records_extracted,
  SAFE_CAST(JSON_VALUE(payload, '$.inserted') AS INT64) AS inserted,
  SAFE_CAST(JSON_VALUE(payload, '$.updated') AS INT64) AS updated,
  SAFE_CAST(JSON_VALUE(payload, '$.unchanged') AS INT64) AS unchanged,
  SAFE_CAST(JSON_VALUE(payload, '$.known') AS INT64) AS known,
  SAFE_CAST(JSON_VALUE(payload, '$.gone') AS INT64) AS gone,
  SAFE_CAST(JSON_VALUE(payload, '$.rejected') AS INT64) AS rejected,
  SAFE_CAST(JSON_VALUE(payload, '$.duplicates') AS INT64) AS duplicates,
  SAFE_CAST(JSON_VALUE(payload, '$.recovered') AS INT64) AS recovered,
  SAFE_CAST(JSON_VALUE(payload, '$.objects') AS INT64) AS objects,
  SAFE_CAST(JSON_VALUE(payload, '$.batches') AS INT64) AS batches,
  SAFE_CAST(JSON_VALUE(payload, '$.bytes') AS INT64) AS bytes,
  SAFE_CAST(JSON_VALUE(payload, '$.date_filter.since') AS TIMESTAMP) AS since,
  SAFE_CAST(JSON_VALUE(payload, '$.date_filter.until') AS TIMESTAMP) AS until,
  SAFE_CAST(JSON_VALUE(payload, '$.seen_at') AS TIMESTAMP) AS seen_at,
  IF(event_type = 'ingestion.completed', JSON_QUERY(payload, '$.cursor'), JSON_QUERY(payload, '$.resume.cursor'))
    AS cursor,
  error_message,
  JSON_VALUE(payload, '$.error_code') AS error_code,
  trace_id
FROM {event_log}
WHERE event_type IN ('ingestion.completed', 'ingestion.failed')
