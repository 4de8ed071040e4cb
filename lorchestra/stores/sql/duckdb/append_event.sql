INSERT INTO {event_log}
    (event_id, event_type, source_system, object_type, idem_key, correlation_id, trace_id, created_at, status,
     error_message, payload)
SELECT $event_id, $event_type, $source_system, $object_type, $idem_key, $correlation_id, $trace_id, $created_at,
       $status, $error_message, CAST($payload AS JSON)
WHERE NOT EXISTS (SELECT 1 FROM {event_log} WHERE event_id = $event_id)
