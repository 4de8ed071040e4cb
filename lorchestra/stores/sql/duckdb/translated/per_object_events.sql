SELECT COUNT(*) AS per_object_events FROM {event_log} WHERE correlation_id = $run_id AND NOT event_type IN ('job.started', 'ingestion.completed', 'job.completed', 'job.failed')
