SELECT * FROM {event_log} WHERE correlation_id = $run_id AND created_at >= $first ORDER BY created_at NULLS FIRST, event_id NULLS FIRST
