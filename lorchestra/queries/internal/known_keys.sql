-- How many of the given keys (`keys`) are stored.
SELECT COUNT(*) AS known
FROM {raw_objects}
WHERE idem_key IN UNNEST(@keys)
