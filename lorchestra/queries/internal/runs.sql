-- Some runs (`run_ids`), newest first, as the view job_runs has them; none of them began before `first`.
SELECT *
FROM {job_runs_of_events}
ORDER BY started_at DESC, run_id DESC
