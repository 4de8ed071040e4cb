-- One row per message, in whichever way it came: the columns that people ask mail for.
SELECT
  idem_key,
  source_system,
  external_id,
  thread_id,
  (
    SELECT JSON_VALUE(header, '$.value')
    FROM UNNEST(JSON_QUERY_ARRAY(IF(LOWER(JSON_TYPE(headers)) = 'array', headers, NULL))) AS header
    WHERE LOWER(JSON_VALUE(header, '$.name')) = 'from'
    LIMIT 1
  ) AS sender,
  (
    SELECT JSON_VALUE(header, '$.value')
    FROM UNNEST(JSON_QUERY_ARRAY(IF(LOWER(JSON_TYPE(headers)) = 'array', headers, NULL))) AS header
    WHERE LOWER(JSON_VALUE(header, '$.name')) = 'to'
    LIMIT 1
  ) AS recipients,
  (
    SELECT JSON_VALUE(header, '$.value')
    FROM UNNEST(JSON_QUERY_ARRAY(IF(LOWER(JSON_TYPE(headers)) = 'array', headers, NULL))) AS header
    WHERE LOWER(JSON_VALUE(header, '$.name')) = 'subject'
    LIMIT 1
  ) AS subject,
  -- Only in the years that a timestamp has.
  TIMESTAMP_ADD(
    TIMESTAMP '1970-01-01 00:00:00+00',
    INTERVAL IF(internal_date BETWEEN -62135596800000 AND 253402300799999, internal_date, NULL) MILLISECOND
  ) AS date,
  ARRAY(
    SELECT JSON_VALUE(label)
    FROM UNNEST(JSON_QUERY_ARRAY(IF(LOWER(JSON_TYPE(label_ids)) = 'array', label_ids, NULL))) AS label
    WHERE JSON_VALUE(label) IS NOT NULL
  ) AS labels,
  has_attachment,
  size,
  first_seen,
  last_seen
FROM (
  SELECT
    idem_key,
    source_system,
    external_id,
    JSON_VALUE(payload, '$.threadId') AS thread_id,
    JSON_QUERY(payload, '$.payload.headers') AS headers,
    SAFE_CAST(JSON_VALUE(payload, '$.internalDate') AS INT64) AS internal_date,
    JSON_QUERY(payload, '$.labelIds') AS label_ids,
    IF(
      JSON_QUERY(payload, '$.payload') IS NULL,
      NULL,
      REGEXP_CONTAINS(TO_JSON_STRING(JSON_QUERY(payload, '$.payload')), r'"filename":\s*"[^"]')
    ) AS has_attachment,
    SAFE_CAST(JSON_VALUE(payload, '$.sizeEstimate') AS INT64) AS size,
    first_seen,
    last_seen
  FROM {raw_objects}
  WHERE object_type = 'email'
)
