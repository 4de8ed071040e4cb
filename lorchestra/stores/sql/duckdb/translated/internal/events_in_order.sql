SELECT * FROM {event_log} WHERE event_id > $after ORDER BY event_id NULLS FIRST LIMIT $limit
