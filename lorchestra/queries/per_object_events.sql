-- Events of a run (@run_id) that are none of the run itself; always 0.
SELECT COUNT(*) as per_object_events
FROM {event_log}
WHERE correlation_id = @run_id
  AND event_type NOT IN ('job.started','ingestion.completed','job.completed','job.failed')
