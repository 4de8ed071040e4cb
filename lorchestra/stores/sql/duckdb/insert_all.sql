INSERT INTO {raw_objects}
    (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
SELECT idem_key, $source_system, $object_type, external_id, payload, $seen_at, $seen_at FROM staged
