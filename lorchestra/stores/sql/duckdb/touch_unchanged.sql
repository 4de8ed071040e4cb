UPDATE {raw_objects} SET last_seen = $seen_at
WHERE rowid IN (SELECT row_id FROM matched WHERE row_id IS NOT NULL)
