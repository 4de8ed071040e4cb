-- The compression is named because DuckDB's own choice for texts of about this size takes seven times as long.
CREATE TABLE IF NOT EXISTS {raw_objects} (
    idem_key VARCHAR NOT NULL,
    source_system VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    external_id VARCHAR,
    payload JSON NOT NULL USING COMPRESSION zstd,
    first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL
)
