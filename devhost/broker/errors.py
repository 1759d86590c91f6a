"""Everything the broker refuses, as one tree of types.

    BrokerError
    ├── EntityNotFound
    ├── EntityExists
    ├── EntityDisabled
    ├── QuotaExceeded
    ├── MessageTooLarge
    ├── MessageNotFound
    ├── MessageLockLost
    ├── SessionLockLost
    ├── SessionCannotBeLocked
    ├── InvalidOperation
    ├── ArgumentError
    │   ├── FilterSyntaxError
    │   └── TopologyError
    ├── BrokerClosed
    └── StoreError
        ├── StoreInUse
        ├── StoreUnreadable
        └── StoreFailed

A message is one line and names the entity. The leaves carry the names of the service's own error conditions.
"""


class BrokerError(Exception):
    """Base of everything the broker raises on purpose."""


class EntityNotFound(BrokerError):
    """No queue, topic, subscription, rule or dead-letter queue has this path."""


class EntityExists(BrokerError):
    """An entity or rule of this name is there already."""


class EntityDisabled(BrokerError):
    """The entity's status forbids sending, receiving or both."""


class QuotaExceeded(BrokerError):
    """The entity holds its maximum size already."""


class MessageTooLarge(BrokerError):
    """A message is over the entity's limit; nothing of its batch was accepted."""


class MessageNotFound(BrokerError):
    """No deferred or scheduled message has this sequence number."""


class MessageLockLost(BrokerError):
    """The lock token is unknown, settled already, or expired."""


class SessionLockLost(BrokerError):
    """The session's lock is unknown, released, or expired."""


class SessionCannotBeLocked(BrokerError):
    """Another consumer holds the session."""


class InvalidOperation(BrokerError):
    """The entity cannot do this: a receive on a topic, a session missing or not wanted, a feature not modelled."""


class ArgumentError(BrokerError):
    """A value is outside what the service accepts."""


class FilterSyntaxError(ArgumentError):
    """A SQL filter does not follow the service's grammar."""


class TopologyError(ArgumentError):
    """A topology file cannot be used; the message names the key."""


class BrokerClosed(BrokerError):
    """The broker was closed before or while this was asked of it."""


class StoreError(BrokerError):
    """The file behind the broker cannot be used."""


class StoreInUse(StoreError):
    """Another process has the file open."""


class StoreUnreadable(StoreError):
    """The file is damaged, belongs to another program, or was written by a newer version."""


class StoreFailed(StoreError):
    """A commit failed: what is in memory is ahead of the disk, so that the broker must be opened again."""
