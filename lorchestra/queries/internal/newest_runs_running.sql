-- Runs that have no end: the newest, of one job or, where `job` is empty, of all.
-- A run id is its job, a hyphen and 14 digits; so no payload is read.
SELECT correlation_id AS run_id, created_at AS started_at
FROM {event_log}
WHERE event_type = 'job.started'
  AND (@job = '' OR (STARTS_WITH(correlation_id, CONCAT(@job, '-')) AND LENGTH(correlation_id) = LENGTH(@job) + 15))
  AND correlation_id NOT IN (SELECT correlation_id FROM {event_log} WHERE event_type IN ('job.completed', 'job.failed'))
ORDER BY created_at DESC, correlation_id DESC
LIMIT @limit
