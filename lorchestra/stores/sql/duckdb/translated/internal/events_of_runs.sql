SELECT * FROM {event_log} WHERE correlation_id IN (SELECT run_id FROM UNNEST($run_ids) AS _t0(run_id)) AND created_at >= $first
