"""`make infra-check`: what can be known of the Bicep templates without Azure and without its compiler.

`bicep` reads a template; every other module is one check, a function from `Infra` to findings. `python -m
scripts.infra_check` runs them all and prints each finding with its file and line.
"""
