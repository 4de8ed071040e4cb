"""Named queries in GoogleSQL."""
