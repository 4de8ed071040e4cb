UPDATE {raw_objects} SET last_seen = $seen_at
WHERE idem_key BETWEEN $low AND $high
  AND idem_key IN (SELECT unnest($keys))
  AND last_seen < $seen_at
