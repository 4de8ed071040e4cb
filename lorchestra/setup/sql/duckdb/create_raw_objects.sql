-- Compression is named where DuckDB's own choice costs more than it saves: for payloads it takes seven times as
-- long; keys are compared with those of every batch, and uncompressed ones in half the time.
CREATE TABLE IF NOT EXISTS {raw_objects} (
    idem_key VARCHAR NOT NULL USING COMPRESSION uncompressed,
    source_system VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    external_id VARCHAR,
    payload JSON NOT NULL USING COMPRESSION zstd,
    first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL
)
