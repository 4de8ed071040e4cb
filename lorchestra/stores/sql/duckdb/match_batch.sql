-- Narrow on purpose: keys and digests, never a stored payload. `same` is unknown where no digest was written
-- down. Of several digests of a key the newest counts: those of a row that was deleted by hand stay behind.
-- Where no key is known, the digests are not even scanned.
CREATE OR REPLACE TEMP TABLE matched AS
WITH staged AS MATERIALIZED (
    SELECT
        unnest(range($objects)) AS number,
        unnest(from_json($idem_keys, '["VARCHAR"]')) AS idem_key,
        unnest(from_json($key_hashes, '["UBIGINT"]')) AS key_hash,
        unnest(from_json($payload_hashes, '["UUID"]')) AS payload_hash
), found AS MATERIALIZED (
    SELECT s.number, s.key_hash, s.payload_hash, r.rowid AS row_id, r.first_seen
    FROM staged AS s
    LEFT JOIN {raw_objects} AS r USING (idem_key)
), digests AS (
    SELECT key_hash, arg_max(payload_hash, rowid) AS payload_hash
    FROM {digest}
    WHERE key_hash IN (SELECT key_hash FROM found WHERE row_id IS NOT NULL)
    GROUP BY key_hash
)
SELECT f.number, f.row_id, f.first_seen, d.payload_hash = f.payload_hash AS same
FROM found AS f
LEFT JOIN digests AS d USING (key_hash)
