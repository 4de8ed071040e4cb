-- The next events by id, after `after`.
SELECT *
FROM {event_log}
WHERE event_id > @after
ORDER BY event_id
LIMIT @limit
