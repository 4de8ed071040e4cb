SELECT table_schema, table_name, column_name, data_type, is_nullable = 'YES'
FROM information_schema.columns
WHERE table_catalog = current_database() AND table_schema = $dataset
ORDER BY table_name, ordinal_position
