-- Narrow on purpose: keys and hashes only, never a stored payload.
CREATE OR REPLACE TEMP TABLE matched AS
SELECT s.idem_key, r.row_id, r.first_seen, coalesce(s.payload_hash = h.payload_hash, false) AS same
FROM (SELECT idem_key, payload_hash FROM staged) AS s
LEFT JOIN (
    SELECT rowid AS row_id, idem_key, first_seen FROM {raw_objects} WHERE idem_key BETWEEN $low AND $high
) AS r USING (idem_key)
LEFT JOIN (
    SELECT idem_key, payload_hash FROM {payload_hash} WHERE idem_key BETWEEN $low AND $high
) AS h USING (idem_key)
