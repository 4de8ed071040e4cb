SELECT * FROM {event_log} WHERE event_type = 'job.failed' AND CAST(created_at AS DATE) >= CURRENT_DATE - 7
