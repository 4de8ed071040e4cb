-- Brings an event_log of before to the columns of today, its rows as they are. It can be run again.
-- A statement adds one column or changes one; every column that is added may be NULL.
ALTER TABLE `events_dev.event_log` ADD COLUMN IF NOT EXISTS payload JSON;
ALTER TABLE `events_dev.event_log` ADD COLUMN IF NOT EXISTS trace_id STRING;
ALTER TABLE `events_dev.event_log` ALTER COLUMN idem_key DROP NOT NULL;
ALTER TABLE `events_dev.event_log` ALTER COLUMN object_type DROP NOT NULL;
