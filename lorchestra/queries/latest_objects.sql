-- The present state of every mail, the one seen last first.
SELECT *
FROM {raw_objects}
WHERE object_type = 'email'
ORDER BY last_seen DESC
