-- The events since a time (`first`), of one job or, where `job` is empty, of all, oldest first.
SELECT *
FROM {event_log}
WHERE created_at >= @first
  AND (@job = '' OR (STARTS_WITH(correlation_id, CONCAT(@job, '-')) AND LENGTH(correlation_id) = LENGTH(@job) + 15))
ORDER BY created_at, event_id
