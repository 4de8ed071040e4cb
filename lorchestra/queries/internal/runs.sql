-- Runs, newest first; `job` and `state` narrow them when they are not empty.
SELECT *
FROM {job_runs}
WHERE (@job = '' OR job_name = @job)
  AND (@state = '' OR state = @state)
ORDER BY started_at DESC, run_id DESC
LIMIT @limit
