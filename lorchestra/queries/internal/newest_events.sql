-- When the newest events were made, of one job or, where `job` is empty, of all; no payload is read.
SELECT event_id, created_at
FROM {event_log}
WHERE @job = '' OR (STARTS_WITH(correlation_id, CONCAT(@job, '-')) AND LENGTH(correlation_id) = LENGTH(@job) + 15)
ORDER BY created_at DESC, event_id DESC
LIMIT @limit
