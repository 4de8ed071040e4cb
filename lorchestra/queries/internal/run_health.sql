-- How a job (`job`) is, as if its run `run_id` had succeeded in `seconds` just now.
{health_of_ending_run}
