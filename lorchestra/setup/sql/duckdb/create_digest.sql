-- Private to the store: tells changed from unchanged without reading payloads. Rows are hints, not truth:
-- raw_objects alone says which objects exist. Numbers throughout, which the engine compares while it scans;
-- UUID is its type of 128 bits.
CREATE TABLE IF NOT EXISTS {digest} (
    key_hash UBIGINT NOT NULL,
    payload_hash UUID NOT NULL
)
