"""Whether a subscription wants a message: its rules, ready to be asked. One rule that matches is enough."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from devhost.broker.errors import ArgumentError, EntityExists, EntityNotFound, InvalidOperation
from devhost.broker.model import Scalar
from devhost.broker.sql_filter import Scope, parse
from devhost.broker.topology import CorrelationFilter, FalseFilter, Rule, RuleFilter, SqlFilter, TrueFilter

_MAX_NAME = 50


def matcher(rule_filter: RuleFilter) -> Callable[[Scope], bool]:
    """What decides for one filter; `FilterSyntaxError`, or `ArgumentError` for a correlation filter without fields."""
    match rule_filter:
        case TrueFilter():
            return lambda _: True
        case FalseFilter():
            return lambda _: False
        case SqlFilter(expression, parameters):
            return parse(expression, parameters)
        case CorrelationFilter():
            return _correlation(rule_filter)


class RuleSet:
    """The rules of the subscription at `path`."""

    def __init__(self, path: str, rules: Iterable[Rule] = ()) -> None:
        self._path = path
        self._rules: dict[str, tuple[Rule, Callable[[Scope], bool]]] = {}
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Add a rule; `EntityExists` when its name is taken, `ArgumentError` when the rule is no good."""
        if not 0 < len(rule.name) <= _MAX_NAME:
            raise ArgumentError(f"{self._path}: a rule's name has 1 to {_MAX_NAME} characters, not {len(rule.name)}")
        if rule.name.lower() in self._rules:
            raise EntityExists(f"{self._path} has a rule {rule.name!r} already")
        self._rules[rule.name.lower()] = (rule, matcher(rule.filter))

    def remove(self, name: str) -> None:
        """Remove a rule; `EntityNotFound`."""
        if self._rules.pop(name.lower(), None) is None:
            raise EntityNotFound(f"{self._path} has no rule {name!r}")

    def all(self) -> tuple[Rule, ...]:
        """The rules by name."""
        return tuple(self._rules[name][0] for name in sorted(self._rules))

    def match(self, scope: Scope) -> bool:
        """Whether any rule wants the message."""
        return any(wants(scope) for _, wants in self._rules.values())


def refuse_action(path: str, rule_name: str, expression: str | None) -> None:
    """`InvalidOperation` when a rule comes with an action: they are not modelled."""
    if expression:
        raise InvalidOperation(
            f"{path}: rule {rule_name!r} has an action ({expression!r}); rule actions are not modelled"
        )


def _correlation(wanted: CorrelationFilter) -> Callable[[Scope], bool]:
    fields = {
        "correlation_id": wanted.correlation_id,
        "message_id": wanted.message_id,
        "to": wanted.to,
        "reply_to": wanted.reply_to,
        "subject": wanted.label,
        "session_id": wanted.session_id,
        "reply_to_session_id": wanted.reply_to_session_id,
        "content_type": wanted.content_type,
    }
    fixed = [(name, value) for name, value in fields.items() if value is not None]
    properties = list(wanted.properties.items())
    if not fixed and not properties:
        raise ArgumentError("a correlation filter needs at least one field or property to compare")

    def wants(scope: Scope) -> bool:
        message = scope.message
        return all(getattr(message, name) == value for name, value in fixed) and all(
            name in message.properties and _same(message.properties[name], value) for name, value in properties
        )

    return wants


def _same(left: Scalar, right: Scalar) -> bool:
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers) and not isinstance(left, bool | str):
        return not isinstance(right, bool) and left == right
    return type(left) is type(right) and left == right
