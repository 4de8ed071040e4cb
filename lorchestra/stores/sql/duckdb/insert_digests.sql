INSERT INTO {digest} (key_hash, payload_hash) SELECT key_hash, payload_hash FROM learned;
