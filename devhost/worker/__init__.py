"""The language worker: indexes and invokes an app's functions with Microsoft's own worker library."""
