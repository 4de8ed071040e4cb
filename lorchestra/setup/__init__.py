"""Table definitions and views, one statement a file."""
