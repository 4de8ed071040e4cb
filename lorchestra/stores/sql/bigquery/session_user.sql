-- Who asks. It reads nothing and costs nothing, and is a job all the same.
SELECT SESSION_USER() AS who
