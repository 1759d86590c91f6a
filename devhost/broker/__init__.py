"""The broker core: Azure Service Bus entities and their semantics, kept in one SQLite file, knowing nothing of AMQP."""
