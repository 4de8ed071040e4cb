SELECT idem_key, external_id, first_seen, last_seen FROM {raw_objects} WHERE source_system = $source_system AND object_type = $object_type ORDER BY first_seen DESC, idem_key NULLS FIRST LIMIT $limit
