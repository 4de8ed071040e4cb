-- The constant bounds let the service leave out blocks of the clustered table that hold none of the keys.
MERGE {raw_objects} AS T
USING {staged} AS S
ON T.idem_key = S.idem_key AND T.idem_key BETWEEN @lo AND @hi
WHEN MATCHED AND TO_JSON_STRING(T.payload) != TO_JSON_STRING(S.payload) THEN
  UPDATE SET payload = S.payload, last_seen = @seen_at
WHEN MATCHED THEN
  UPDATE SET last_seen = @seen_at
WHEN NOT MATCHED THEN
  INSERT (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
  VALUES (S.idem_key, @source_system, @object_type, S.external_id, S.payload, @seen_at, @seen_at)
