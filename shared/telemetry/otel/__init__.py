"""Telemetry on OpenTelemetry: the one package that imports it, and itself imported only when telemetry is on."""
