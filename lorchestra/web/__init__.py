"""The page over the two tables: read-only, served to this machine, made on the server."""
