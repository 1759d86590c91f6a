"""Large values by reference: `store.ArtifactStore`, and `files`, its embedded twin."""
