-- What is stored of a source (`source_system`, `object_type`), beside what the run at `seen_at` stored and saw.
SELECT
  COUNT(*) AS stored,
  COUNT(DISTINCT idem_key) AS idem_keys,
  COALESCE(COUNTIF(first_seen = @seen_at), 0) AS first_seen,
  COALESCE(COUNTIF(first_seen <= @seen_at AND last_seen >= @seen_at), 0) AS seen
FROM {raw_objects}
WHERE source_system = @source_system
  AND object_type = @object_type
