-- The events of the days around a span of time (`first` until before `last`).
SELECT *
FROM {event_log}
WHERE created_at >= TIMESTAMP_SUB(@first, INTERVAL 48 HOUR)
  AND created_at < TIMESTAMP_ADD(@last, INTERVAL 48 HOUR)
