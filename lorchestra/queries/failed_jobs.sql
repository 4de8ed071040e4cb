-- Runs that failed in the last seven days.
SELECT *
FROM {event_log}
WHERE event_type = 'job.failed'
  AND DATE(created_at) >= CURRENT_DATE() - 7
