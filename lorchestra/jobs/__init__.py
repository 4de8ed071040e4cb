"""Jobs: what can be run, and what a run gives them."""
