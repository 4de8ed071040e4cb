-- The newest runs of each job, newest first; beside the very newest of each stands how its job is.
WITH recent AS {recent_runs},
health AS (
  {health_of_recent}
)
SELECT
  recent.run_id,
  recent.job_name,
  recent.package_name,
  recent.state,
  recent.started_at,
  recent.ended_at,
  recent.duration_seconds,
  recent.records_extracted,
  recent.inserted,
  recent.updated,
  recent.rejected,
  recent.error_message,
  recent.error_code,
  recent.next_step,
  health.* EXCEPT (job_name)
FROM recent
LEFT JOIN health ON health.last_run = recent.run_id
WHERE recent.job_name IS NOT NULL
ORDER BY recent.started_at DESC, recent.run_id DESC
