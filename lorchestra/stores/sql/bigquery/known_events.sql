-- Which of these events are there already; the bounds of their times narrow the partitions that are read.
SELECT event_id
FROM {event_log}
WHERE event_id IN UNNEST(@event_ids)
  AND created_at BETWEEN @first AND @last
