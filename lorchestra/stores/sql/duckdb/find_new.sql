SELECT list(number) FROM matched WHERE row_id IS NULL
