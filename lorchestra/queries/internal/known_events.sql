-- Which of the given events (`event_ids`) are there; the bounds of their times narrow what is read.
SELECT event_id
FROM {event_log}
WHERE event_id IN UNNEST(@event_ids)
  AND created_at BETWEEN @first AND @last
