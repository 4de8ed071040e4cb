-- The objects of a source (`source_system`, `object_type`) that the run at `seen_at` saw as the first or the
-- last, new ones first; at most `limit`.
SELECT
  idem_key,
  first_seen,
  last_seen
FROM {raw_objects}
WHERE source_system = @source_system
  AND object_type = @object_type
  AND (first_seen = @seen_at OR last_seen = @seen_at)
ORDER BY IF(first_seen = @seen_at, 0, 1), idem_key
LIMIT @limit
