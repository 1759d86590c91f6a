"""How agents are coordinated: one pattern, one module; the steps they share; and the ways to start and watch a run."""
