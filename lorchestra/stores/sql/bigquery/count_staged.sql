-- What the merge will find: how many staged objects are new, changed and unchanged.
-- JSON values have no equality of their own; equal ones have equal texts.
SELECT
  COUNTIF(known = 0) AS inserted,
  COUNTIF(known > 0 AND different > 0) AS updated,
  COUNTIF(known > 0 AND different = 0) AS unchanged
FROM (
  SELECT
    S.idem_key,
    COUNT(T.idem_key) AS known,
    COUNTIF(TO_JSON_STRING(T.payload) != TO_JSON_STRING(S.payload)) AS different
  FROM {staged} AS S
  LEFT JOIN {raw_objects} AS T
    ON T.idem_key = S.idem_key AND T.idem_key BETWEEN @lo AND @hi
  GROUP BY S.idem_key
)
