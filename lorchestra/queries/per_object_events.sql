-- Events of a run (`run_id`) beside those of a run that succeeds; 0 for such a run, whatever it ingested.
SELECT COUNT(*) as per_object_events
FROM {event_log}
WHERE correlation_id = @run_id
  AND event_type NOT IN ('job.started','ingestion.completed','job.completed','job.failed')
