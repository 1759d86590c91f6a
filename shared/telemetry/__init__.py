"""What leaves for observers: `telemetry.Telemetry`, its OpenTelemetry adapter, and its twin that is off."""
