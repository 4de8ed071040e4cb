-- The events of one run (`run_id`), oldest first.
SELECT *
FROM {event_log}
WHERE correlation_id = @run_id
ORDER BY created_at, event_id
