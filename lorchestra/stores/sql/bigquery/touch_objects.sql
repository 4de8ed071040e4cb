UPDATE {raw_objects} SET last_seen = @seen_at
WHERE idem_key BETWEEN @lo AND @hi
  AND idem_key IN UNNEST(@keys)
  AND last_seen < @seen_at
