-- Updating the payload in place would rewrite the whole column; the rows are inserted again below.
DELETE FROM {raw_objects} WHERE rowid IN (SELECT row_id FROM changed);
DELETE FROM {digest} WHERE key_hash IN (SELECT key_hash FROM changed);
