SELECT * FROM {raw_objects} WHERE idem_key = $idem_key
