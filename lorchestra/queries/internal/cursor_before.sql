-- Where the newest ingestion of a source (`source_system`, `object_type`) before a time (`before`) ended: its
-- cursor, or how far a failed one got.
SELECT COALESCE(JSON_QUERY(payload, '$.cursor'), JSON_QUERY(payload, '$.resume.cursor')) AS cursor
FROM {event_log}
WHERE event_type IN ('ingestion.completed', 'ingestion.failed')
  AND source_system = @source_system
  AND object_type = @object_type
  AND created_at < @before
  AND TO_JSON_STRING(COALESCE(JSON_QUERY(payload, '$.cursor'), JSON_QUERY(payload, '$.resume.cursor'))) != 'null'
ORDER BY created_at DESC, event_id DESC
LIMIT 1
