INSERT INTO {raw_objects}
    (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
SELECT idem_key, source_system, object_type, external_id, payload, first_seen, last_seen FROM written;
INSERT INTO {digest} (key_hash, payload_hash) SELECT key_hash, payload_hash FROM written;
