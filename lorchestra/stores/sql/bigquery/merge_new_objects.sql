-- For a batch of new keys. A MERGE that can only insert is not billed for the table it inserts into.
MERGE {raw_objects} AS T
USING {staged} AS S
ON T.idem_key = S.idem_key AND T.idem_key BETWEEN @lo AND @hi
WHEN NOT MATCHED THEN
  INSERT (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
  VALUES (S.idem_key, @source_system, @object_type, S.external_id, S.payload, @seen_at, @seen_at)
