-- Where the newest completed ingestion of a source (`source_system`, `object_type`) ended.
SELECT JSON_QUERY(payload, '$.cursor') AS cursor
FROM {event_log}
WHERE event_type = 'ingestion.completed'
  AND source_system = @source_system
  AND object_type = @object_type
ORDER BY created_at DESC, event_id DESC
LIMIT 1
