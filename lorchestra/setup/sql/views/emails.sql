-- One row per message, in whichever way it came: the columns that people ask mail for.
SELECT
  idem_key,
  source_system,
  external_id,
  JSON_VALUE(payload, '$.threadId') AS thread_id,
  (
    SELECT JSON_VALUE(header, '$.value')
    FROM UNNEST(JSON_QUERY_ARRAY(payload, '$.payload.headers')) AS header
    WHERE LOWER(JSON_VALUE(header, '$.name')) = 'from'
    LIMIT 1
  ) AS sender,
  (
    SELECT JSON_VALUE(header, '$.value')
    FROM UNNEST(JSON_QUERY_ARRAY(payload, '$.payload.headers')) AS header
    WHERE LOWER(JSON_VALUE(header, '$.name')) = 'to'
    LIMIT 1
  ) AS recipients,
  (
    SELECT JSON_VALUE(header, '$.value')
    FROM UNNEST(JSON_QUERY_ARRAY(payload, '$.payload.headers')) AS header
    WHERE LOWER(JSON_VALUE(header, '$.name')) = 'subject'
    LIMIT 1
  ) AS subject,
  TIMESTAMP_ADD(
    TIMESTAMP '1970-01-01 00:00:00+00', INTERVAL SAFE_CAST(JSON_VALUE(payload, '$.internalDate') AS INT64) MILLISECOND
  ) AS date,
  JSON_VALUE_ARRAY(payload, '$.labelIds') AS labels,
  REGEXP_CONTAINS(TO_JSON_STRING(JSON_QUERY(payload, '$.payload')), r'"filename":\s*"[^"]') AS has_attachment,
  SAFE_CAST(JSON_VALUE(payload, '$.sizeEstimate') AS INT64) AS size,
  first_seen,
  last_seen
FROM {raw_objects}
WHERE object_type = 'email'
