-- Whether anything has changed: what is counted by the store anyway.
SELECT
  (SELECT COUNT(*) FROM {event_log}) AS events,
  (SELECT MAX(created_at) FROM {event_log}) AS newest_event,
  (SELECT COUNT(*) FROM {raw_objects}) AS objects
