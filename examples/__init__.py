"""The sample mailbox and the demo that reads it."""
