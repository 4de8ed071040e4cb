INSERT INTO {payload_hash} (idem_key, payload_hash)
SELECT idem_key, payload_hash FROM staged
WHERE idem_key IN (SELECT idem_key FROM matched WHERE row_id IS NULL OR NOT same)
