INSERT INTO {raw_objects}
    (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
SELECT s.idem_key, $source_system, $object_type, s.external_id, s.payload, coalesce(w.first_seen, $seen_at),
       $seen_at
FROM staged AS s
JOIN (
    SELECT idem_key, min(first_seen) AS first_seen FROM matched WHERE row_id IS NULL OR NOT same GROUP BY idem_key
) AS w USING (idem_key)
