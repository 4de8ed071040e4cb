-- What happened on each day (UTC) from `first` until before `last`: runs that ended, and what they stored.
SELECT
  DATE(created_at) AS day,
  COUNTIF(event_type = 'job.completed') AS succeeded,
  COUNTIF(event_type = 'job.failed') AS failed,
  COALESCE(SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.inserted') AS INT64), NULL)), 0)
    AS inserted,
  COALESCE(SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.updated') AS INT64), NULL)), 0)
    AS updated,
  COALESCE(SUM(IF(event_type LIKE 'ingestion.%', SAFE_CAST(JSON_VALUE(payload, '$.rejected') AS INT64), NULL)), 0)
    AS rejected
FROM {event_log}
WHERE created_at >= @first
  AND created_at < @last
  AND event_type IN ('job.completed', 'job.failed', 'ingestion.completed', 'ingestion.failed')
GROUP BY day
ORDER BY day
