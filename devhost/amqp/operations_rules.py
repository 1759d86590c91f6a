"""Requests about a subscription's rules: add, remove, list.

Source: "AMQP 1.0 in Azure Service Bus: request-response-based operations" (rule operations and their descriptors).
"""

from collections.abc import Mapping

from devhost.amqp.conditions import NOT_IMPLEMENTED, AmqpError
from devhost.amqp.messages import scalar
from devhost.amqp.operations import ARGUMENT_ERROR, Operation, Reply, Request
from devhost.amqp.values import Described, Typed
from devhost.broker.model import Scalar
from devhost.broker.topology import CorrelationFilter, FalseFilter, Rule, RuleFilter, SqlFilter, TrueFilter

_RULE = 0x13700000004
_EMPTY_ACTION = 0x13700000005
_SQL_FILTER = 0x1370000006
_TRUE_FILTER = 0x1370000007
_FALSE_FILTER = 0x1370000008
_CORRELATION_FILTER = 0x1370000009
#: SQL dialect version that the service states.
_COMPATIBILITY_LEVEL = 20

#: Fields of a correlation filter: name on the wire, and in our filter, in the order of the described list.
_CORRELATION_FIELDS = (
    ("correlation-id", "correlation_id"),
    ("message-id", "message_id"),
    ("to", "to"),
    ("reply-to", "reply_to"),
    ("label", "label"),
    ("session-id", "session_id"),
    ("reply-to-session-id", "reply_to_session_id"),
    ("content-type", "content_type"),
)


async def _add(request: Request) -> Reply:
    description = request.body.get("rule-description")
    if not isinstance(description, dict):
        raise AmqpError(ARGUMENT_ERROR, "the request's 'rule-description' must be a map")
    if description.get("sql-rule-action"):
        raise AmqpError(NOT_IMPLEMENTED, "rule actions are not supported", 501)
    await request.broker.add_rule(request.entity, Rule(request.text("rule-name"), _filter(description)))
    return Reply()


def _filter(description: dict[object, object]) -> RuleFilter:
    sql, correlation = description.get("sql-filter"), description.get("correlation-filter")
    if isinstance(sql, dict):
        return SqlFilter(str(sql.get("expression")))
    if isinstance(correlation, dict):
        fields = {
            ours: None if (value := correlation.get(theirs)) is None else str(value)
            for theirs, ours in _CORRELATION_FIELDS
        }
        return CorrelationFilter(**fields, properties=_properties(correlation.get("properties")))
    if "false-filter" in description:
        return FalseFilter()
    if "true-filter" in description:
        return TrueFilter()
    raise AmqpError(ARGUMENT_ERROR, "the rule has no filter that is known")


def _properties(value: object) -> dict[str, Scalar]:
    return {str(key): scalar(key, item) for key, item in value.items()} if isinstance(value, dict) else {}


async def _remove(request: Request) -> Reply:
    await request.broker.remove_rule(request.entity, request.text("rule-name"))
    return Reply()


async def _list(request: Request) -> Reply:
    skip, top = max(0, request.number("skip", 0)), max(0, request.number("top", 100))
    rules = request.broker.rules(request.entity)[skip : skip + top]
    if not rules:
        return Reply(204, None, "No rules")
    return Reply(body={"rules": [{"rule-description": _described(rule)} for rule in rules]})


def _described(rule: Rule) -> Described:
    action = Described(Typed("ulong", _EMPTY_ACTION), [])
    return Described(Typed("ulong", _RULE), [_described_filter(rule.filter), action, rule.name])


def _described_filter(rule_filter: RuleFilter) -> Described:
    if isinstance(rule_filter, SqlFilter):
        fields: list[object] = [rule_filter.expression, Typed("int", _COMPATIBILITY_LEVEL)]
        return Described(Typed("ulong", _SQL_FILTER), fields)
    if isinstance(rule_filter, CorrelationFilter):
        fields = [getattr(rule_filter, ours) for _, ours in _CORRELATION_FIELDS]
        return Described(Typed("ulong", _CORRELATION_FILTER), [*fields, dict(rule_filter.properties)])
    code = _TRUE_FILTER if isinstance(rule_filter, TrueFilter) else _FALSE_FILTER
    return Described(Typed("ulong", code), [])


RULE_OPERATIONS: Mapping[str, Operation] = {
    "com.microsoft:add-rule": _add,
    "com.microsoft:remove-rule": _remove,
    "com.microsoft:enumerate-rules": _list,
}
