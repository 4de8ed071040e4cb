-- One row per run: its events folded into its present state.
SELECT
  correlation_id AS run_id,
  MAX(IF(event_type = 'job.started', JSON_VALUE(payload, '$.job_name'), NULL)) AS job_name,
  MAX(JSON_VALUE(payload, '$.package_name')) AS package_name,
  MAX(IF(event_type = 'job.started', JSON_VALUE(payload, '$.host'), NULL)) AS host,
  CASE
    WHEN COUNTIF(event_type = 'job.failed') > 0 THEN 'failed'
    WHEN COUNTIF(event_type = 'job.completed') > 0 THEN 'succeeded'
    WHEN COUNTIF(event_type = 'job.started') > 0 THEN 'running'
    ELSE 'pending'
  END AS state,
  MIN(created_at) AS started_at,
  MAX(IF(event_type IN ('job.completed', 'job.failed'), created_at, NULL)) AS ended_at,
  -- What is no number of seconds (an event may be anybody's) is none.
  MAX(IF(event_type IN ('job.completed', 'job.failed')
      AND SAFE_CAST(JSON_VALUE(payload, '$.duration_seconds') AS FLOAT64) BETWEEN 0 AND 1e12,
    SAFE_CAST(JSON_VALUE(payload, '$.duration_seconds') AS FLOAT64), NULL)) AS duration_seconds,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.records_extracted') AS INT64), NULL))
    AS records_extracted,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.inserted') AS INT64), NULL)) AS inserted,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.updated') AS INT64), NULL)) AS updated,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.unchanged') AS INT64), NULL))
    AS unchanged,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.known') AS INT64), NULL)) AS known,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.gone') AS INT64), NULL)) AS gone,
  SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.rejected') AS INT64), NULL)) AS rejected,
  MAX(IF(event_type = 'job.failed', error_message, NULL)) AS error_message,
  MAX(IF(event_type = 'job.failed', JSON_VALUE(payload, '$.error_code'), NULL)) AS error_code,
  MAX(IF(event_type = 'job.failed', JSON_VALUE(payload, '$.next_step'), NULL)) AS next_step,
  MAX(trace_id) AS trace_id,
  COUNTIF(
    event_type = 'job.started'
    AND COALESCE(JSON_VALUE(payload, '$.parameters.limit'), JSON_VALUE(payload, '$.parameters.retry_of')) IS NOT NULL
  ) > 0 AS is_partial
FROM {event_log}
WHERE event_type LIKE 'job.%' OR event_type LIKE 'ingestion.%'
GROUP BY correlation_id
