"""A stand-in for the Gmail API: a server that others wrote, and a front with quota, tokens and faults."""
