-- Private to the store: tells changed from unchanged without reading payloads. Rows are hints, not truth:
-- raw_objects alone says which objects exist.
CREATE TABLE IF NOT EXISTS {payload_digest} (
    idem_key VARCHAR NOT NULL,
    digest BLOB NOT NULL
)
