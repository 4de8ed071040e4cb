-- Runs that ran in a span of time (`first` until before `last`), oldest first; those of more than two days may lack.
SELECT run_id, job_name, state, started_at, ended_at, duration_seconds, inserted, updated, rejected, error_message
FROM {runs_of_span}
WHERE job_name IS NOT NULL
  AND started_at < @last
  AND (ended_at >= @first OR state = 'running')
ORDER BY started_at, run_id
