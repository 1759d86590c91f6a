"""Output bindings: what a function hands to the host besides its answer."""
