-- The next objects by key, after @after: how large each is, and when it was seen.
SELECT idem_key, first_seen, last_seen, LENGTH(TO_JSON_STRING(payload)) AS size
FROM {raw_objects}
WHERE idem_key > @after
ORDER BY idem_key
LIMIT @limit
