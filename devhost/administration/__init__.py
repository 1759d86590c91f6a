"""The namespace's administration over HTTP, as Service Bus administration clients speak it."""
