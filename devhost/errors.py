"""Why the host cannot start, each in words a person can act on."""


class StartError(Exception):
    """The host cannot start. The text is one or more complete lines for the person who started it."""
