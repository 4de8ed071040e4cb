-- The events of one job's runs (`job`) since `first`.
SELECT *
FROM {event_log}
WHERE STARTS_WITH(correlation_id, CONCAT(@job, '-'))
  AND LENGTH(correlation_id) = LENGTH(@job) + 15
  AND created_at >= @first
