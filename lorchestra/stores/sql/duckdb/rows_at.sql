SELECT idem_key, source_system, object_type, external_id, payload, first_seen, last_seen
FROM {raw_objects}
WHERE rowid BETWEEN $first AND $last AND rowid IN (SELECT unnest($places))
