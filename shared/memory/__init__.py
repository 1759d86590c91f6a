"""What agents remember: facts and conversations, `store.MemoryStore`, its adapter and its embedded twin."""
