"""The host's own spans: what the Functions host and the Durable extension emit in Azure, sent to an OTLP endpoint."""
