"""What survives a failure at each point of a run: the crash matrix, and kills at random."""
