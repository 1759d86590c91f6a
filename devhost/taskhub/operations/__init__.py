"""What clients do to a task hub's orchestrations: list, purge, rewind and restart them, and read their histories."""
