INSERT INTO {payload_digest} (idem_key, digest) SELECT idem_key, digest FROM learned;
