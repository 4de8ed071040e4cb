-- How much would go that ended before `before`, and of which time.
SELECT
  COUNT(*) AS runs,
  COALESCE(SUM(events), 0) AS events,
  MIN(began) AS began,
  MAX(ended) AS ended
FROM ({runs_to_prune})
