"""Messages to agents: `bus.MessageBus`, its Service Bus adapter, and its in-memory twin."""
