-- The events of the newest 50 runs of one job (`job`).
WITH newest AS (
  SELECT correlation_id, created_at
  FROM {event_log}
  WHERE event_type = 'job.started'
    AND STARTS_WITH(correlation_id, CONCAT(@job, '-')) AND LENGTH(correlation_id) = LENGTH(@job) + 15
  ORDER BY created_at DESC
  LIMIT 50
)
SELECT *
FROM {event_log}
WHERE correlation_id IN (SELECT correlation_id FROM newest)
  AND created_at >= (SELECT MIN(created_at) FROM newest)
