"""Every name refers to something, and everything that is declared is used."""

from collections.abc import Iterator
from pathlib import Path

from tree_sitter import Node

from scripts.infra_check.bicep import Declaration, Template, literal, properties, text, walk
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

# learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions: those that these templates may call.
FUNCTIONS = frozenset(
    {
        "any",
        "array",
        "base64",
        "concat",
        "contains",
        "deployment",
        "empty",
        "endsWith",
        "environment",
        "filter",
        "flatten",
        "format",
        "guid",
        "indexOf",
        "int",
        "items",
        "join",
        "json",
        "last",
        "length",
        "listKeys",
        "loadJsonContent",
        "loadTextContent",
        "map",
        "max",
        "min",
        "range",
        "reduce",
        "replace",
        "resourceGroup",
        "resourceId",
        "sort",
        "split",
        "startsWith",
        "string",
        "subscription",
        "subscriptionResourceId",
        "substring",
        "take",
        "tenant",
        "toLower",
        "toObject",
        "toUpper",
        "trim",
        "union",
        "uniqueString",
        "uri",
    }
)
_LOADS = frozenset({"loadJsonContent", "loadTextContent"})


def references(infra: Infra) -> Iterator[Finding]:
    """Names, functions, files, modules with their parameters and outputs."""
    for template in infra.templates.values():
        used: set[str] = set()
        for node in template.root.named_children:
            yield from _names(template, node, frozenset(), used)
        for each in template.declarations:
            if each.kind in {"param", "var", "type", "func"} and each.name not in used:
                yield template.finding(each, f"{each.kind} {each.name} is never used")
        yield from _outputs(infra, template)
        for module in template.of_kind("module").values():
            yield from _arguments(infra, template, module)
        yield from _files(infra, template)


def _names(template: Template, node: Node, known: frozenset[str], used: set[str]) -> Iterator[Finding]:
    """Each identifier that is a value and not a key, with what loops and lambdas around it bring along."""
    known = known | _brought(node)
    for child in _values(node):
        if child.type == "identifier":
            name = text(child)
            if name in template.by_name:
                used.add(name)
            elif name not in known and not (name in FUNCTIONS and _is_called(child)):
                yield template.finding(child, f"{name} is neither declared here nor a function that is known")
        else:
            yield from _names(template, child, known, used)


def _values(node: Node) -> list[Node]:
    children = list(node.children)
    if node.type == "object_property" and children and children[0].type == "identifier":
        return children[1:]
    if node.type.endswith("_declaration") or node.type == "user_defined_function":
        named = next((index for index, child in enumerate(children) if child.type == "identifier"), -1)
        return children[:named] + children[named + 1 :]
    if node.type == "decorator":
        return []
    return children


def _brought(node: Node) -> frozenset[str]:
    match node.type:
        case "for_statement":
            first = node.named_children[0]
            names = first.named_children if first.type == "for_loop_parameters" else [first]
        case "lambda_expression":
            names = [each for each in walk(node) if each.type == "identifier"][: _lambda_arity(node)]
        case "user_defined_function":
            names = [each.named_children[0] for each in walk(node) if each.type == "parameter"]
        case _:
            names = []
    return frozenset(text(each) for each in names)


def _lambda_arity(node: Node) -> int:
    head = text(node).split("=>", 1)[0]
    return head.count(",") + 1


def _is_called(identifier: Node) -> bool:
    parent = identifier.parent
    return parent is not None and parent.type == "call_expression" and parent.children[0] == identifier


def _outputs(infra: Infra, template: Template) -> Iterator[Finding]:
    """`module.outputs.name`, also behind an index or a `!`."""
    modules = template.of_kind("module")
    for node in walk(template.root):
        steps = _path(node)
        if len(steps) < 3 or steps[1] != "outputs" or steps[0] not in modules:
            continue
        target = infra.module(template, modules[steps[0]].target)
        if target is not None and steps[2] not in target.of_kind("output"):
            there = ", ".join(target.of_kind("output")) or "none"
            yield template.finding(node, f"{target.path} has no output {steps[2]}; it has {there}")


def _path(node: Node) -> list[str]:
    """The names in an expression such as `a.outputs.b`; empty for one that is not exactly that."""
    if node.type != "member_expression":
        return []
    return text(node).replace("!", "").replace("?", "").split("[")[0].split(".") if "(" not in text(node) else []


def _arguments(infra: Infra, template: Template, module: Declaration) -> Iterator[Finding]:
    target = infra.module(template, module.target)
    if target is None:
        yield template.finding(module, f"module {module.name}: there is no template {module.target}")
        return
    given = properties(properties(module.body).get("params"))
    asked = target.of_kind("param")
    for name, value in given.items():
        if name not in asked:
            yield template.finding(value, f"module {module.name}: {target.path} has no parameter {name}")
    for name, parameter in asked.items():
        if name not in given and not parameter.is_optional:
            yield template.finding(module, f"module {module.name}: {target.path} asks for the parameter {name}")


def _files(infra: Infra, template: Template) -> Iterator[Finding]:
    for node in walk(template.root):
        if node.type != "call_expression" or text(node.children[0]) not in _LOADS:
            continue
        name = next((literal(each) for each in node.named_children[1].named_children), None)
        if name is None or not (infra.folder / template.path.parent / Path(name)).is_file():
            yield template.finding(node, f"there is no file {name}")
