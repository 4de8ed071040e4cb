-- How each job is, by what is usual for it: failing, late, slow, or nothing new where there always was.
WITH all_runs AS (
  SELECT
    *,
    -- What a retry or a limited run did says nothing of what is usual.
    state = 'succeeded' AND NOT is_partial AS is_whole,
    COALESCE(inserted, 0) AS added,
    COALESCE(inserted, 0) + COALESCE(updated, 0) + COALESCE(unchanged, 0) AS merged,
    TIMESTAMP_DIFF(started_at, LAG(started_at) OVER (PARTITION BY job_name ORDER BY started_at, run_id), SECOND)
      AS gap,
    ROW_NUMBER() OVER (PARTITION BY job_name ORDER BY started_at DESC, run_id DESC) AS age,
    ROW_NUMBER() OVER (PARTITION BY job_name, state ORDER BY started_at DESC, run_id DESC) AS age_in_state
  FROM {recent_runs}
  WHERE job_name IS NOT NULL
),
runs AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY job_name, is_whole ORDER BY started_at DESC, run_id DESC) AS age_if_whole
  FROM all_runs
),
newest AS (
  SELECT
    job_name,
    MAX(IF(age = 1, run_id, NULL)) AS last_run,
    MAX(IF(age = 1, state, NULL)) AS last_state,
    MAX(started_at) AS last_started_at,
    MAX(IF(state = 'failed', started_at, NULL)) AS last_failure_at,
    -- One that others came after did not end either, but it will not.
    MAX(IF(age = 1 AND state = 'running', started_at, NULL)) AS running_since,
    MAX(IF(state = 'succeeded' AND age_in_state = 1, run_id, NULL)) AS last_success,
    MAX(IF(state = 'succeeded', started_at, NULL)) AS success_started_at,
    MAX(IF(state = 'succeeded', ended_at, NULL)) AS last_success_at,
    -- The one that is judged by the others: what it did is the next three.
    MAX(IF(is_whole AND age_if_whole = 1, run_id, NULL)) AS judged_run,
    MAX(IF(is_whole AND age_if_whole = 1, duration_seconds, NULL)) AS last_seconds,
    MAX(IF(is_whole AND age_if_whole = 1, added, NULL)) AS last_new,
    MAX(IF(is_whole AND age_if_whole = 1, merged, NULL)) AS last_merged,
    MAX(IF(state = 'succeeded' AND added > 0, started_at, NULL)) AS last_new_at
  FROM runs
  GROUP BY job_name
),
-- What the whole successes before the newest one were like.
usual AS (
  SELECT
    job_name,
    COUNT(*) AS successes,
    COUNTIF(added = 0) AS successes_without_new,
    MAX(median_seconds) AS usual_seconds,
    MAX(median_new) AS usual_new,
    MAX(median_merged) AS usual_merged
  FROM (
    SELECT
      job_name,
      added,
      PERCENTILE_CONT(duration_seconds, 0.5) OVER (PARTITION BY job_name) AS median_seconds,
      PERCENTILE_CONT(added, 0.5) OVER (PARTITION BY job_name) AS median_new,
      PERCENTILE_CONT(merged, 0.5) OVER (PARTITION BY job_name) AS median_merged
    FROM runs
    WHERE is_whole AND age_if_whole BETWEEN 2 AND 31
  )
  GROUP BY job_name
),
-- How long it takes from one start to the next.
rhythm AS (
  SELECT
    job_name,
    MAX(median_gap) AS usual_gap,
    MAX(long_gap) AS long_gap,
    -- Five gaps on three days, or thirty that are alike: trying a job out is none.
    COUNT(*) >= 5 AND COUNT(DISTINCT DATE(started_at)) >= 3
      OR COUNT(*) >= 29 AND MAX(long_gap) <= 3 * MAX(median_gap) AS has_rhythm
  FROM (
    SELECT
      job_name,
      started_at,
      PERCENTILE_CONT(gap, 0.5) OVER (PARTITION BY job_name) AS median_gap,
      PERCENTILE_CONT(gap, 0.9) OVER (PARTITION BY job_name) AS long_gap
    FROM runs
    WHERE gap IS NOT NULL AND age <= 30
  )
  GROUP BY job_name
),
judged AS (
  SELECT
    newest.*,
    usual_seconds,
    usual_new,
    IF(has_rhythm, usual_gap, NULL) AS usual_gap_seconds,
    TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), last_success_at, SECOND) AS age_seconds,
    last_failure_at IS NOT NULL AND (success_started_at IS NULL OR last_failure_at > success_started_at)
      AS is_failing,
    COALESCE(
      has_rhythm AND running_since IS NULL
        AND TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), last_started_at, SECOND) > 1.5 * long_gap,
      FALSE
    ) AS is_late,
    -- Three times as long, and five seconds, unless there was three times as much to do.
    COALESCE(
      successes >= 5 AND last_seconds > 3 * usual_seconds AND last_seconds > usual_seconds + 5
        AND last_merged <= 3 * usual_merged,
      FALSE
    ) AS is_slow,
    COALESCE(
      successes >= 5 AND TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), running_since, SECOND) > 3 * usual_seconds + 60,
      FALSE
    ) AS runs_long,
    -- One run in twenty without anything new is usual enough.
    COALESCE(successes >= 8 AND last_new = 0 AND successes_without_new * 20 <= successes, FALSE) AS is_quiet
  FROM newest
  LEFT JOIN usual ON usual.job_name = newest.job_name
  LEFT JOIN rhythm ON rhythm.job_name = newest.job_name
)
SELECT
  *,
  is_failing OR is_late OR is_slow OR runs_long OR is_quiet AS is_unusual
FROM judged
ORDER BY is_unusual DESC, job_name
