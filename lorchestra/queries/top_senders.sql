-- Who wrote most: senders by number of messages.
SELECT
  JSON_VALUE(header, '$.value') AS sender,
  COUNT(*) AS messages
FROM {raw_objects}, UNNEST(JSON_QUERY_ARRAY(payload, '$.payload.headers')) AS header
WHERE object_type = 'email'
  AND LOWER(JSON_VALUE(header, '$.name')) = 'from'
GROUP BY sender
ORDER BY messages DESC, sender
LIMIT 10
