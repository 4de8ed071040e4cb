-- The events of the newest 50 runs of each job. A run id is its job, a hyphen and 14 digits.
WITH starts AS (
  SELECT correlation_id, created_at, LEFT(correlation_id, GREATEST(LENGTH(correlation_id) - 15, 0)) AS job
  FROM {event_log}
  WHERE event_type = 'job.started'
),
newest AS (
  SELECT correlation_id, created_at
  FROM starts
  QUALIFY ROW_NUMBER() OVER (PARTITION BY job ORDER BY created_at DESC) <= 50
)
SELECT *
FROM {event_log}
WHERE correlation_id IN (SELECT correlation_id FROM newest)
  AND created_at >= (SELECT MIN(created_at) FROM newest)
