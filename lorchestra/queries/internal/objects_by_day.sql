-- How many objects of a source (`source_system`, `object_type`) came on each day (UTC), and how many there were then.
SELECT day, objects, SUM(objects) OVER (ORDER BY day) AS objects_until_then
FROM (
  SELECT DATE(first_seen) AS day, COUNT(*) AS objects
  FROM {raw_objects}
  WHERE source_system = @source_system
    AND object_type = @object_type
  GROUP BY day
)
ORDER BY day
