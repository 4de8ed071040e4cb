SELECT * FROM {event_log} WHERE object_type = 'job_run' ORDER BY created_at DESC
