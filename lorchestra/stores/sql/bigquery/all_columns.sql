-- Only for dry runs: the types of a table's columns, as a query sees them.
SELECT * FROM {table}
