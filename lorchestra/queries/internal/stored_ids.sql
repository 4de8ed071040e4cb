-- Which of the given keys (`keys`, from `lo` to `hi`) are stored, by their ids.
SELECT external_id
FROM {raw_objects}
WHERE idem_key BETWEEN @lo AND @hi
  AND idem_key IN UNNEST(@keys)
