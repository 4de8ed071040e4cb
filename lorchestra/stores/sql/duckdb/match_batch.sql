-- Narrow on purpose: keys and digests, never a stored payload. `same` is unknown where no digest was written
-- down. Of several digests of a key the newest counts: those of a row that was deleted by hand stay behind.
CREATE OR REPLACE TEMP TABLE matched AS
SELECT s.number, s.idem_key, r.row_id, r.first_seen, d.digest = s.digest AS same
FROM staged AS s
LEFT JOIN (
    SELECT rowid AS row_id, idem_key, first_seen
    FROM {raw_objects}
    WHERE idem_key IN (SELECT idem_key FROM staged)
) AS r USING (idem_key)
LEFT JOIN (
    SELECT idem_key, arg_max(digest, rowid) AS digest
    FROM {payload_digest}
    WHERE idem_key IN (SELECT idem_key FROM staged)
    GROUP BY idem_key
) AS d USING (idem_key);
SELECT
    count(*) FILTER (WHERE row_id IS NULL),
    count(*) FILTER (WHERE row_id IS NOT NULL AND same IS DISTINCT FROM true)
FROM matched
