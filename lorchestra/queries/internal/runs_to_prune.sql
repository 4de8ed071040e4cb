-- Runs that ended before `before`, whole, but for those with the event where a source goes on (last_cursor.sql).
SELECT correlation_id AS run_id, COUNT(*) AS events, MIN(created_at) AS began, MAX(created_at) AS ended
FROM {event_log}
WHERE correlation_id NOT IN (
  SELECT correlation_id
  FROM (
    SELECT
      correlation_id,
      ROW_NUMBER() OVER (PARTITION BY source_system, object_type ORDER BY created_at DESC, event_id DESC) AS place
    FROM {event_log}
    WHERE event_type IN ('ingestion.completed', 'ingestion.failed')
      AND TO_JSON_STRING(COALESCE(JSON_QUERY(payload, '$.cursor'), JSON_QUERY(payload, '$.resume.cursor'))) != 'null'
  )
  WHERE place = 1
)
GROUP BY correlation_id
HAVING MAX(created_at) < @before
  AND COUNTIF(event_type IN ('job.completed', 'job.failed')) > 0
