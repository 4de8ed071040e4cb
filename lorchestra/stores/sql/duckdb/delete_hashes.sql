DELETE FROM {payload_hash}
WHERE idem_key BETWEEN $low AND $high
  AND idem_key IN (SELECT idem_key FROM matched WHERE row_id IS NULL OR NOT same)
