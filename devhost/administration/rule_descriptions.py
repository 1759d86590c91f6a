"""Between subscription rules and their XML descriptions.

Source: `RuleDescription` of the Service Bus management protocol.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, SubElement

from pydantic import TypeAdapter, ValidationError

from devhost.administration.atom import SCHEMA, DocumentError, sb, set_type, type_attribute, write_instant
from devhost.broker.model import Scalar
from devhost.broker.topology import CorrelationFilter, FalseFilter, Rule, RuleFilter, SqlFilter, TrueFilter

RULE_ELEMENT = "RuleDescription"
_COMPATIBILITY_LEVEL = "20"
_INT_MAX = 2**31 - 1
_CORRELATION_FIELDS = (
    ("CorrelationId", "correlation_id"),
    ("MessageId", "message_id"),
    ("To", "to"),
    ("ReplyTo", "reply_to"),
    ("Label", "label"),
    ("SessionId", "session_id"),
    ("ReplyToSessionId", "reply_to_session_id"),
    ("ContentType", "content_type"),
)

_READERS: Mapping[str, Callable[[str], Scalar]] = {
    "string": str,
    "int": int,
    "long": int,
    "double": float,
    "boolean": lambda text: text.lower() == "true",
    "dateTime": TypeAdapter(datetime).validate_python,
}


def read_rule(name: str, description: Element) -> Rule:
    """The rule a description states. Raises `DocumentError`, also for an action, which is not supported."""
    action = description.find(sb("Action"))
    if action is not None and type_attribute(action) == "SqlRuleAction":
        raise DocumentError("rule actions are not supported")
    given = description.find(sb("Filter"))
    return Rule(name, TrueFilter() if given is None else _read_filter(given))


def _read_filter(element: Element) -> RuleFilter:
    kind = type_attribute(element)
    if kind == "TrueFilter":
        return TrueFilter()
    if kind == "FalseFilter":
        return FalseFilter()
    if kind == "SqlFilter":
        expression = element.findtext(sb("SqlExpression")) or ""
        return SqlFilter(expression, parameters=_read_pairs(element.find(sb("Parameters"))))
    if kind == "CorrelationFilter":
        fields = {ours: element.findtext(sb(theirs)) for theirs, ours in _CORRELATION_FIELDS}
        return CorrelationFilter(**fields, properties=_read_pairs(element.find(sb("Properties"))))
    raise DocumentError(f"a filter of type {kind!r} is not known")


def _read_pairs(parent: Element | None) -> dict[str, Scalar]:
    pairs: dict[str, Scalar] = {}
    for pair in parent if parent is not None else ():
        key, value = pair.findtext(sb("Key")), pair.find(sb("Value"))
        if key is None or value is None:
            raise DocumentError("a property needs a Key and a Value")
        kind = type_attribute(value) or "string"
        reader = _READERS.get(kind)
        if reader is None:
            raise DocumentError(f"the property {key!r} is of the type {kind!r}, which is not supported")
        try:
            pairs[key] = reader(value.text or "")
        except (ValueError, ValidationError) as error:
            raise DocumentError(f"the property {key!r} is not a {kind}") from error
    return pairs


def write_rule(rule: Rule, created: datetime) -> Element:
    """The description of a rule."""
    element = Element(sb(RULE_ELEMENT))
    _write_filter(SubElement(element, sb("Filter")), rule.filter)
    set_type(SubElement(element, sb("Action")), "EmptyRuleAction")
    SubElement(element, sb("CreatedAt")).text = write_instant(created)
    SubElement(element, sb("Name")).text = rule.name
    return element


def _write_filter(element: Element, rule_filter: RuleFilter) -> None:
    set_type(element, type(rule_filter).__name__)
    if isinstance(rule_filter, CorrelationFilter):
        for theirs, ours in _CORRELATION_FIELDS:
            if (text := getattr(rule_filter, ours)) is not None:
                SubElement(element, sb(theirs)).text = text
        _write_pairs(SubElement(element, sb("Properties")), rule_filter.properties)
        return
    always = {TrueFilter: "1=1", FalseFilter: "1=0"}
    text = rule_filter.expression if isinstance(rule_filter, SqlFilter) else always[type(rule_filter)]
    SubElement(element, sb("SqlExpression")).text = text
    SubElement(element, sb("CompatibilityLevel")).text = _COMPATIBILITY_LEVEL
    if isinstance(rule_filter, SqlFilter) and rule_filter.parameters:
        _write_pairs(SubElement(element, sb("Parameters")), rule_filter.parameters)


def _write_pairs(parent: Element, pairs: Mapping[str, Scalar]) -> None:
    for key, value in pairs.items():
        pair = SubElement(parent, sb("KeyValueOfstringanyType"))
        SubElement(pair, sb("Key")).text = key
        kind, text = _typed(value)
        # The type is a name in the schema's namespace, so the prefix it is written with has to be declared here.
        written = SubElement(pair, sb("Value"), {"xmlns:d6p1": SCHEMA})
        set_type(written, f"d6p1:{kind}")
        written.text = text


def _typed(value: Scalar) -> tuple[str, str]:
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, int):
        return ("int" if abs(value) <= _INT_MAX else "long"), str(value)
    if isinstance(value, float):
        return "double", repr(value)
    if isinstance(value, datetime):
        return "dateTime", write_instant(value)
    if isinstance(value, timedelta):
        raise DocumentError("a duration cannot be a property")
    return "string", str(value)
