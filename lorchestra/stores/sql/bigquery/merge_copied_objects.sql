-- Rows of another store, with the times they had there. Of two states of an object the one seen later stays.
MERGE {raw_objects} AS T
USING {staged} AS S
ON T.idem_key = S.idem_key AND T.idem_key BETWEEN @lo AND @hi
WHEN MATCHED AND S.last_seen >= T.last_seen THEN
  UPDATE SET
    payload = S.payload, external_id = S.external_id, first_seen = LEAST(T.first_seen, S.first_seen),
    last_seen = S.last_seen
WHEN MATCHED AND S.first_seen < T.first_seen THEN
  UPDATE SET first_seen = S.first_seen
WHEN NOT MATCHED THEN
  INSERT (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
  VALUES
    (S.idem_key, S.source_system, S.object_type, S.external_id, S.payload, S.first_seen, S.last_seen)
