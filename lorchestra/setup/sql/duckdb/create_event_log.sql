CREATE TABLE IF NOT EXISTS {event_log} (
    event_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    source_system VARCHAR NOT NULL,
    object_type VARCHAR,
    idem_key VARCHAR,
    correlation_id VARCHAR NOT NULL,
    trace_id VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    status VARCHAR NOT NULL,
    error_message VARCHAR,
    payload JSON
)
