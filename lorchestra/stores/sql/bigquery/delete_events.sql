DELETE FROM {event_log}
WHERE created_at < @before
  AND correlation_id IN (SELECT run_id FROM ({runs_to_prune}))
