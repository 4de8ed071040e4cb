-- When the objects between two keys (@lo, @hi) were seen.
SELECT idem_key, first_seen, last_seen
FROM {raw_objects}
WHERE idem_key BETWEEN @lo AND @hi
