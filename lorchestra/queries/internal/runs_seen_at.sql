-- The ingestions of a source (`source_system`, `object_type`) whose runs had one of these timestamps (`seen_at`).
SELECT run_id, seen_at, ended_at
FROM {ingestions_now}
WHERE source_system = @source_system
  AND object_type = @object_type
  AND seen_at IN (SELECT seen_at FROM UNNEST(@seen_ats) AS seen_at)
ORDER BY seen_at
