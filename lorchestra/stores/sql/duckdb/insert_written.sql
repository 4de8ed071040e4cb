INSERT INTO {raw_objects}
    (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
SELECT idem_key, source_system, object_type, external_id, payload, first_seen, last_seen FROM written;
INSERT INTO {payload_digest} (idem_key, digest) SELECT idem_key, digest FROM written;
