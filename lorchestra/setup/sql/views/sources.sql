-- One row per source and kind of object: how much is stored of it, and when something of it last came.
SELECT
  COALESCE(stored.source_system, ingested.source_system) AS source_system,
  COALESCE(stored.object_type, ingested.object_type) AS object_type,
  COALESCE(stored.objects, 0) AS objects,
  stored.newest_first_seen,
  stored.newest_last_seen,
  ingested.last_good_run,
  ingested.last_good_at
FROM (
  SELECT
    source_system,
    object_type,
    COUNT(*) AS objects,
    MAX(first_seen) AS newest_first_seen,
    MAX(last_seen) AS newest_last_seen
  FROM {raw_objects}
  GROUP BY source_system, object_type
) AS stored
FULL JOIN (
  SELECT
    source_system,
    object_type,
    ANY_VALUE(correlation_id HAVING MAX created_at) AS last_good_run,
    MAX(created_at) AS last_good_at
  FROM {event_log}
  WHERE event_type = 'ingestion.completed'
  GROUP BY source_system, object_type
) AS ingested
  ON stored.source_system = ingested.source_system AND stored.object_type = ingested.object_type
