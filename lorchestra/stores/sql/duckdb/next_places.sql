-- Narrow: which objects come next in the order of the file, and when they were seen.
SELECT rowid AS place, idem_key, first_seen, last_seen
FROM {raw_objects}
WHERE rowid > $after
ORDER BY rowid
LIMIT $limit
