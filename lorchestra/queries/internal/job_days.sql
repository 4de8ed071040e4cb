-- One job (`job`) day by day (UTC) since `first`: its runs, how long they took, and what they stored.
SELECT
  day,
  COUNT(*) AS runs,
  COUNTIF(state = 'failed') AS failed,
  MAX(median_seconds) AS median_seconds,
  COALESCE(SUM(inserted), 0) AS inserted,
  COALESCE(SUM(updated), 0) AS updated,
  MAX(usual_low) AS usual_low,
  MAX(usual_high) AS usual_high
FROM (
  SELECT
    DATE(started_at) AS day,
    state,
    inserted,
    updated,
    PERCENTILE_CONT(IF(state = 'succeeded', duration_seconds, NULL), 0.5) OVER (PARTITION BY DATE(started_at))
      AS median_seconds,
    -- Eight of ten successes took as long.
    PERCENTILE_CONT(IF(state = 'succeeded', duration_seconds, NULL), 0.1) OVER () AS usual_low,
    PERCENTILE_CONT(IF(state = 'succeeded', duration_seconds, NULL), 0.9) OVER () AS usual_high
  FROM {runs_of_job_since}
  WHERE job_name IS NOT NULL
)
GROUP BY day
ORDER BY day
