"""The engines that the task hub is measured beside, each a program: `python -m bench.engines.NAME FOLDER`."""
