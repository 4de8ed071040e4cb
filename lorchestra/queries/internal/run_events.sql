-- The events of one run (`run_id`), oldest first; none of them is older than `first`.
SELECT *
FROM {event_log}
WHERE correlation_id = @run_id
  AND created_at >= @first
ORDER BY created_at, event_id
