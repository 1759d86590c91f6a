"""What `make` runs for people: the demo, the local host, and files generated from the code."""
