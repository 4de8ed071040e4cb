-- How far runs (`run_ids`, none began before `first`) have come: the objects that they stored or saw by now.
SELECT
  started.run_id,
  COUNT(stored.idem_key) AS seen,
  COUNT(IF(stored.first_seen = started.seen_at, stored.idem_key, NULL)) AS inserted
FROM (
  SELECT
    correlation_id AS run_id,
    SAFE_CAST(JSON_VALUE(payload, '$.seen_at') AS TIMESTAMP) AS seen_at,
    JSON_VALUE(payload, '$.parameters.source_system') AS source_system
  FROM {event_log}
  WHERE event_type = 'job.started'
    AND correlation_id IN (SELECT run_id FROM UNNEST(@run_ids) AS run_id)
    AND created_at >= @first
) AS started
LEFT JOIN {raw_objects} AS stored
  ON stored.source_system = started.source_system AND stored.last_seen = started.seen_at
GROUP BY started.run_id
