"""The HTTP side of the host: routes of the app's HTTP triggers, keys, limits, and the host's own pages."""
