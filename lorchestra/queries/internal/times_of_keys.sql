-- When the objects of the given keys (`keys`) were seen; all of them lie between `lo` and `hi`.
SELECT idem_key, MIN(first_seen) AS first_seen, MAX(last_seen) AS last_seen
FROM {raw_objects}
WHERE idem_key BETWEEN @lo AND @hi
  AND idem_key IN UNNEST(@keys)
GROUP BY idem_key
