"""SQL filters: the service's language over a message's properties, parsed once and then evaluated per message.

    predicate  := NOT predicate | predicate AND predicate | predicate OR predicate | ( predicate )
                | expression { = <> != > >= < <= } expression | expression [NOT] IN ( expression, ... )
                | expression [NOT] LIKE expression [ESCAPE expression] | property IS [NOT] NULL | EXISTS ( property )
    expression := constant | @parameter | property | newid() | property(expression) | p(expression)
                | expression { + - * / % } expression | { + - } expression | ( expression )
    property   := [ sys . | user . ] name

Names are found without regard to case, values are compared with it. Only a predicate that is true matches: unknown
does not. Source: "Subscription Rule SQL Filter Syntax" in the Service Bus documentation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from uuid import uuid4

from devhost.broker.errors import FilterSyntaxError
from devhost.broker.model import Message, Scalar
from devhost.broker.sql_lexer import Kind, Token, tokens
from devhost.broker.sql_values import Truth, both, calculate, compare, either, like, negate, opposite

#: The service's own limit on a filter's text.
MAX_LENGTH = 1024
_MAX_DEPTH = 50

_SYSTEM: Mapping[str, Callable[[Message], Scalar]] = {
    "contenttype": lambda message: message.content_type,
    "correlationid": lambda message: message.correlation_id,
    "label": lambda message: message.subject,
    "messageid": lambda message: message.message_id,
    "partitionkey": lambda message: message.partition_key,
    "replyto": lambda message: message.reply_to,
    "replytosessionid": lambda message: message.reply_to_session_id,
    "scheduledenqueuetimeutc": lambda message: message.scheduled_enqueue_time,
    "sessionid": lambda message: message.session_id,
    "size": lambda message: message.size,
    "subject": lambda message: message.subject,
    "to": lambda message: message.to,
}
_COMPARISONS = frozenset({"=", "<>", "!=", ">", ">=", "<", "<="})


class Scope:
    """One message as filters see it, shared by all filters that look at it."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def properties(self) -> dict[str, Scalar]:
        """The application properties by lower-case name."""
        return {name.lower(): value for name, value in self.message.properties.items()}


class _Sort(Enum):
    PREDICATE = auto()
    EXPRESSION = auto()
    PROPERTY = auto()


@dataclass(frozen=True, slots=True)
class _Term:
    """A parsed part: what it evaluates to and, for a property, whether the message has it."""

    sort: _Sort
    value: Callable[[Scope], Scalar]
    exists: Callable[[Scope], bool] | None = None


def parse(text: str, parameters: Mapping[str, Scalar] | None = None) -> Callable[[Scope], bool]:
    """What decides whether a message matches; `FilterSyntaxError` names what is wrong and where.

    `parameters` are the values of `@name`, keyed with or without the `@`.
    """
    if len(text) > MAX_LENGTH:
        raise FilterSyntaxError(f"SQL filter: {len(text)} characters; the service takes {MAX_LENGTH}")
    predicate = _Parser(text, parameters or {}).whole()
    return lambda scope: predicate(scope) is True


class _Parser:
    """Recursive descent, one method for each level of precedence, lowest first."""

    def __init__(self, text: str, parameters: Mapping[str, Scalar]) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._place = 0
        self._depth = 0
        self._parameters = {name.lstrip("@").lower(): value for name, value in parameters.items()}

    def whole(self) -> Callable[[Scope], Truth]:
        predicate = self._predicate(self._or())
        if self._next.kind is not Kind.END:
            raise self._error("nothing more")
        return predicate

    # -- predicates -----------------------------------------------------------------------------------------------

    def _or(self) -> _Term:
        term = self._and()
        while self._accept("OR"):
            term = _logical(either, self._predicate(term), self._predicate(self._and()))
        return term

    def _and(self) -> _Term:
        term = self._not()
        while self._accept("AND"):
            term = _logical(both, self._predicate(term), self._predicate(self._not()))
        return term

    def _not(self) -> _Term:
        if not self._accept("NOT"):
            return self._condition()
        inner = self._predicate(self._nested(self._not))
        return _Term(_Sort.PREDICATE, lambda scope: opposite(inner(scope)))

    def _condition(self) -> _Term:
        if self._accept("EXISTS"):
            self._expect("(")
            exists = self._property(self._sum())
            self._expect(")")
            return _Term(_Sort.PREDICATE, exists)
        term = self._sum()
        symbol = self._next.text
        if self._next.kind is Kind.SYMBOL and symbol in _COMPARISONS:
            self._place += 1
            left, right = self._expression(term), self._expression(self._sum())
            return _Term(_Sort.PREDICATE, lambda scope: compare(symbol, left(scope), right(scope)))
        if self._accept("IS"):
            return self._null_test(term)
        negated = self._accept("NOT")
        if self._accept("IN"):
            return _inverted(self._membership(self._expression(term)), negated=negated)
        if self._accept("LIKE"):
            return _inverted(self._likeness(self._expression(term)), negated=negated)
        if negated:
            raise self._error("IN or LIKE")
        return term

    def _null_test(self, term: _Term) -> _Term:
        negated = self._accept("NOT")
        self._expect("NULL")
        self._property(term)
        return _Term(_Sort.PREDICATE, lambda scope: (term.value(scope) is None) != negated)

    def _membership(self, value: Callable[[Scope], Scalar]) -> Callable[[Scope], Truth]:
        self._expect("(")
        choices = [self._expression(self._sum())]
        while self._accept(","):
            choices.append(self._expression(self._sum()))
        self._expect(")")

        def evaluate(scope: Scope) -> Truth:
            wanted = value(scope)
            found: Truth = None if wanted is None else False
            for choice in choices:
                found = either(found, compare("=", wanted, choice(scope)))
            # Choices of another kind than the value are no reason to be unsure.
            return False if found is None and wanted is not None else found

        return evaluate

    def _likeness(self, value: Callable[[Scope], Scalar]) -> Callable[[Scope], Truth]:
        pattern = self._expression(self._sum())
        if not self._accept("ESCAPE"):
            return lambda scope: like(value(scope), pattern(scope), None)
        escape = self._expression(self._sum())
        return lambda scope: None if (mark := escape(scope)) is None else like(value(scope), pattern(scope), mark)

    # -- expressions ----------------------------------------------------------------------------------------------

    def _sum(self) -> _Term:
        return self._chain("+-", self._product)

    def _product(self) -> _Term:
        return self._chain("*/%", self._unary)

    def _chain(self, symbols: str, operand: Callable[[], _Term]) -> _Term:
        term = operand()
        while self._next.kind is Kind.SYMBOL and self._next.text in symbols:
            symbol = self._next.text
            self._place += 1
            term = _arithmetic(symbol, self._expression(term), self._expression(operand()))
        return term

    def _unary(self) -> _Term:
        if self._accept("-"):
            operand = self._expression(self._nested(self._unary))
            return _Term(_Sort.EXPRESSION, lambda scope: negate(operand(scope)))
        if self._accept("+"):
            return _Term(_Sort.EXPRESSION, self._expression(self._nested(self._unary)))
        return self._primary()

    def _primary(self) -> _Term:
        token = self._next
        if self._accept("("):
            term = self._nested(self._or)
            self._expect(")")
            return term if term.sort is _Sort.PREDICATE else _Term(_Sort.EXPRESSION, term.value)
        self._place += 1
        match token.kind:
            case Kind.NAME:
                return self._name(token)
            case Kind.PARAMETER:
                return self._parameter(token)
            case Kind.STRING:
                return _constant(token.text)
            case Kind.INTEGER:
                return _constant(int(token.text))
            case Kind.REAL:
                return _constant(float(token.text))
            case Kind.KEYWORD if token.text in ("TRUE", "FALSE", "NULL"):
                return _constant({"TRUE": True, "FALSE": False, "NULL": None}[token.text])
        self._place -= 1
        raise self._error("a value, a property or a predicate")

    def _name(self, token: Token) -> _Term:
        name = token.text.lower()
        if self._next.text == "(" and self._next.kind is Kind.SYMBOL:
            return self._function(token)
        if name in ("sys", "user") and self._accept("."):
            scoped = self._next
            if scoped.kind is not Kind.NAME:
                raise self._error("a property's name")
            self._place += 1
            return self._system(scoped) if name == "sys" else _application(scoped.text.lower())
        return _application(name)

    def _function(self, token: Token) -> _Term:
        self._expect("(")
        name = token.text.lower()
        if name == "newid":
            self._expect(")")
            return _Term(_Sort.EXPRESSION, lambda _: uuid4())
        if name not in ("p", "property"):
            raise FilterSyntaxError(f"SQL filter: there is no function {token.text!r} at position {token.at}")
        wanted = self._expression(self._nested(self._sum))
        self._expect(")")
        return _Term(_Sort.EXPRESSION, lambda scope: scope.properties.get(str(wanted(scope)).lower()))

    def _system(self, token: Token) -> _Term:
        read = _SYSTEM.get(token.text.lower())
        if read is None:
            raise FilterSyntaxError(
                f"SQL filter: sys.{token.text} at position {token.at} is no property that a filter can read here; "
                f"known are {', '.join(sorted(_SYSTEM))}"
            )
        return _Term(_Sort.PROPERTY, lambda scope: read(scope.message), lambda scope: read(scope.message) is not None)

    def _parameter(self, token: Token) -> _Term:
        name = token.text[1:].lower()
        if name not in self._parameters:
            raise FilterSyntaxError(f"SQL filter: the parameter {token.text} has no value")
        return _constant(self._parameters[name])

    # -- help -----------------------------------------------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _accept(self, text: str) -> bool:
        token = self._next
        if token.text != text or token.kind not in (Kind.KEYWORD, Kind.SYMBOL):
            return False
        self._place += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._error(repr(text))

    def _nested(self, parse_inner: Callable[[], _Term]) -> _Term:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise FilterSyntaxError(f"SQL filter: nested more than {_MAX_DEPTH} deep at position {self._next.at}")
        term = parse_inner()
        self._depth -= 1
        return term

    def _error(self, wanted: str) -> FilterSyntaxError:
        token = self._next
        return FilterSyntaxError(f"SQL filter: {wanted} expected at position {token.at}, not {token.text!r}")

    def _misplaced(self, what: str) -> FilterSyntaxError:
        return FilterSyntaxError(f"SQL filter: what stands before position {self._next.at} {what}")

    def _predicate(self, term: _Term) -> Callable[[Scope], Truth]:
        if term.sort is not _Sort.PREDICATE:
            raise self._misplaced("is no predicate (such as a comparison)")
        value = term.value

        def evaluate(scope: Scope) -> Truth:
            found = value(scope)
            return found if isinstance(found, bool) else None

        return evaluate

    def _expression(self, term: _Term) -> Callable[[Scope], Scalar]:
        if term.sort is _Sort.PREDICATE:
            raise self._misplaced("is a predicate where a value belongs")
        return term.value

    def _property(self, term: _Term) -> Callable[[Scope], bool]:
        if term.exists is None:
            raise self._misplaced("is no property")
        return term.exists


def _constant(value: Scalar) -> _Term:
    return _Term(_Sort.EXPRESSION, lambda _: value)


def _application(name: str) -> _Term:
    return _Term(_Sort.PROPERTY, lambda scope: scope.properties.get(name), lambda scope: name in scope.properties)


def _arithmetic(symbol: str, left: Callable[[Scope], Scalar], right: Callable[[Scope], Scalar]) -> _Term:
    return _Term(_Sort.EXPRESSION, lambda scope: calculate(symbol, left(scope), right(scope)))


def _logical(
    combine: Callable[[Truth, Truth], Truth], left: Callable[[Scope], Truth], right: Callable[[Scope], Truth]
) -> _Term:
    return _Term(_Sort.PREDICATE, lambda scope: combine(left(scope), right(scope)))


def _inverted(test: Callable[[Scope], Truth], *, negated: bool) -> _Term:
    return _Term(_Sort.PREDICATE, (lambda scope: opposite(test(scope))) if negated else test)
