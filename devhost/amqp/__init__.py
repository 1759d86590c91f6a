"""The AMQP 1.0 listener: Service Bus clients talk to the broker core through it."""
