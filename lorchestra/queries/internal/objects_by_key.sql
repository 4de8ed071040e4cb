-- The objects of the given keys (@keys), all of them between @lo and @hi.
SELECT idem_key, source_system, object_type, external_id, payload, first_seen, last_seen
FROM {raw_objects}
WHERE idem_key BETWEEN @lo AND @hi
  AND idem_key IN UNNEST(@keys)
