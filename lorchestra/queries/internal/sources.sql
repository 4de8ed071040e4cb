-- What is stored, source by source, as the view sources has it.
SELECT *
FROM {sources_now}
ORDER BY source_system, object_type
