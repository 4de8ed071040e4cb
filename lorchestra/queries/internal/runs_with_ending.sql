-- The newest 50 runs of a job (`job`), as if its run `run_id` had succeeded in `seconds` just now.
SELECT * REPLACE (
  IF(run_id = @run_id, 'succeeded', state) AS state,
  IF(run_id = @run_id, CURRENT_TIMESTAMP(), ended_at) AS ended_at,
  IF(run_id = @run_id, @seconds, duration_seconds) AS duration_seconds
)
FROM {runs_of_job}
