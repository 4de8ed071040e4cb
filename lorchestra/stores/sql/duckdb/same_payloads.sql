-- For rows whose digest nobody wrote down: the payloads themselves.
SELECT u.row_id
FROM unknown AS u
JOIN {raw_objects} AS r ON r.rowid = u.row_id
WHERE r.payload = u.payload
