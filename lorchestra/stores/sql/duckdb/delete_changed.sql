-- Updating the payload in place would rewrite the whole column; the rows are inserted again below.
DELETE FROM {raw_objects}
WHERE rowid IN (SELECT row_id FROM matched WHERE row_id IS NOT NULL AND NOT same)
