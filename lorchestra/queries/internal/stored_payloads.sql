-- The objects of the given keys (`keys`, from `lo` to `hi`).
SELECT payload
FROM {raw_objects}
WHERE idem_key BETWEEN @lo AND @hi
  AND idem_key IN UNNEST(@keys)
