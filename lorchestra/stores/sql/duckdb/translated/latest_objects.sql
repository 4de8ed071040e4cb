SELECT * FROM {raw_objects} WHERE object_type = 'email' ORDER BY last_seen DESC
