"""Clients of the stack that jobs use."""
