"""What starts functions from outside: Service Bus and timer triggers, each behind the one `Trigger` protocol."""
