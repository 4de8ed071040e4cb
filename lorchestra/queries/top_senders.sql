-- Who wrote most: senders by number of messages.
SELECT
  JSON_VALUE(header, '$.value') AS sender,
  COUNT(*) AS messages
FROM (SELECT JSON_QUERY(payload, '$.payload.headers') AS headers FROM {raw_objects} WHERE object_type = 'email'),
  UNNEST(JSON_QUERY_ARRAY(IF(LOWER(JSON_TYPE(headers)) = 'array', headers, NULL))) AS header
WHERE LOWER(JSON_VALUE(header, '$.name')) = 'from'
  AND JSON_VALUE(header, '$.value') IS NOT NULL
GROUP BY sender
ORDER BY messages DESC, sender
LIMIT 10
