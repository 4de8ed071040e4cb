-- Runs: the newest, of one job or, where `job` is empty, of all.
-- A run id is its job, a hyphen and 14 digits; so no payload is read.
SELECT correlation_id AS run_id, created_at AS started_at
FROM {event_log}
WHERE event_type = 'job.started'
  AND (@job = '' OR (STARTS_WITH(correlation_id, CONCAT(@job, '-')) AND LENGTH(correlation_id) = LENGTH(@job) + 15))
ORDER BY created_at DESC, correlation_id DESC
LIMIT @limit
