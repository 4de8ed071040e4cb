-- How many objects of a source (`source_system`, `object_type`) the run at `seen_at` saw as the first, and how
-- many as the last.
SELECT
  COALESCE(COUNTIF(first_seen = @seen_at), 0) AS first_seen,
  COALESCE(COUNTIF(last_seen = @seen_at), 0) AS last_seen
FROM {raw_objects}
WHERE source_system = @source_system
  AND object_type = @object_type
  AND (first_seen = @seen_at OR last_seen = @seen_at)
