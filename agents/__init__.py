"""Who does the work: one agent, one module; their catalog; the runner; and the functions made from the catalog."""
