SELECT
    count(*) FILTER (WHERE row_id IS NULL),
    count(*) FILTER (WHERE row_id IS NOT NULL AND same IS DISTINCT FROM true)
FROM matched
