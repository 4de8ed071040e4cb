SELECT
    count(DISTINCT idem_key) FILTER (WHERE row_id IS NULL),
    count(DISTINCT idem_key) FILTER (WHERE row_id IS NOT NULL AND NOT same),
    count(DISTINCT idem_key) FILTER (WHERE row_id IS NOT NULL AND same)
FROM matched
