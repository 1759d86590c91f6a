"""Entities of the durable task hub: what waits at them, in which order it is taken, and what comes of it."""
