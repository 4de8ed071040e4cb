SELECT source_system, object_type, COUNT(*) AS objects FROM {raw_objects} GROUP BY source_system, object_type
