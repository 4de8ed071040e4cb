-- When jobs started and ended, and how long they took.
SELECT
  event_type,
  created_at,
  JSON_EXTRACT_SCALAR(payload, '$.job_name') as job_name,
  JSON_EXTRACT_SCALAR(payload, '$.duration_seconds') as duration
FROM {event_log}
WHERE object_type = 'job_run'
ORDER BY created_at DESC
