SELECT number, row_id, same, epoch_us(first_seen)
FROM matched
WHERE row_id IS NOT NULL
  AND number IN (SELECT number FROM matched WHERE row_id IS NOT NULL AND same IS DISTINCT FROM true)
