"""The state of runs: documents, the pure decisions over them, `store.StateStore`, and its embedded twin."""
