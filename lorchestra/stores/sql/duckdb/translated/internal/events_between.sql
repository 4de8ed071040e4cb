SELECT * FROM {event_log} WHERE created_at >= ($first - INTERVAL '48' HOUR) AND created_at < ($last + INTERVAL '48' HOUR)
