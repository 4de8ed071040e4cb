-- The events of some runs (`run_ids`), none of which began before `first`.
SELECT *
FROM {event_log}
WHERE correlation_id IN (SELECT run_id FROM UNNEST(@run_ids) AS run_id)
  AND created_at >= @first
