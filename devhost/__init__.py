"""The local host: runs any Durable Functions Python app in one process, with no Core Tools, Docker or network."""
