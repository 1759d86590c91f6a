"""A Bicep template as its declarations, read with the grammar of `tree-sitter-bicep`.

Only the shape is known here, as the language reference gives it (learn.microsoft.com/azure/azure-resource-manager/
bicep/file): what a name refers to, and whether that exists, is for the checks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from scripts.infra_check.finding import Finding

_PARSER = Parser(Language(tree_sitter_bicep.language()))

_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
    "type_declaration": "type",
    "user_defined_function": "func",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration at the top of a template.

    `kind` is its keyword. `target` is the path of a module, or the type and version of a resource. `decorators` are
    the arguments of each decorator by its name, as they are written.
    """

    kind: str
    name: str
    line: int
    node: Node
    target: str = ""
    existing: bool = False
    decorators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def body(self) -> Node | None:
        """The object that a resource or module is described by, whatever loop or condition it lies in."""
        return next((node for node in _outer(self.node) if node.type == "object"), None)

    @property
    def is_loop(self) -> bool:
        """Whether this declares one for each element of something."""
        return any(child.type == "for_statement" for child in self.node.children)

    @property
    def is_optional(self) -> bool:
        """Whether a parameter may be left out: it has a default, or may be null."""
        return any(child.type == "=" or child.type == "nullable_type" for child in _through_types(self.node))


@dataclass(frozen=True)
class Template:
    """One Bicep file. `path` is relative to the folder that is checked."""

    path: Path
    root: Node
    declarations: tuple[Declaration, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Declaration]:
        """Everything that a name in this file may refer to; outputs are not among it."""
        return {each.name: each for each in self.declarations if each.kind != "output"}

    def of_kind(self, kind: str) -> Mapping[str, Declaration]:
        """The declarations of one kind by name."""
        return {each.name: each for each in self.declarations if each.kind == kind}

    def finding(self, where: Node | Declaration, message: str) -> Finding:
        """A finding at a place in this file."""
        line = where.line if isinstance(where, Declaration) else where.start_point.row + 1
        return Finding(self.path, line, message)


def read_template(folder: Path, path: Path) -> Template:
    """The template at `path`, which is relative to `folder`."""
    root = _PARSER.parse((folder / path).read_bytes()).root_node
    return Template(path, root, tuple(_declarations(root)))


def syntax_errors(template: Template) -> Iterator[Finding]:
    """What the grammar does not know."""
    for node in walk(template.root):
        if node.is_missing:
            yield template.finding(node, f"{node.type} is missing")
        elif node.type == "ERROR":
            yield template.finding(node, f"this is no Bicep: {text(node)[:60]!r}")


def walk(node: Node) -> Iterator[Node]:
    """A node and everything in it, in the order of the text."""
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    """A node as it is written."""
    return (node.text or b"").decode()


def literal(node: Node | None) -> str | None:
    """The text of a string without interpolation, or of a number or boolean; None for everything else."""
    if node is None:
        return None
    if node.type in {"number", "boolean"}:
        return text(node)
    if node.type == "string" and all(child.type != "interpolation" for child in node.children):
        return "".join(text(child) for child in node.children if child.type == "string_content")
    return None


def properties(node: Node | None) -> dict[str, Node]:
    """The values of an object by key; keys that are computed are left out."""
    found: dict[str, Node] = {}
    for each in node.children if node is not None and node.type == "object" else ():
        if each.type == "object_property" and len(each.named_children) > 1:
            key, value = each.named_children[0], each.named_children[-1]
            name = text(key) if key.type == "identifier" else literal(key)
            if name is not None:
                found[name] = value
    return found


def at(node: Node | None, *path: str) -> Node | None:
    """The value at a path of keys below an object; None when it is not there."""
    for key in path:
        node = properties(node).get(key)
    return node


def _declarations(root: Node) -> Iterator[Declaration]:
    decorators: dict[str, tuple[str, ...]] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators = dict(_decorator(each) for each in node.named_children)
        elif node.type in _KINDS:
            strings = [child for child in node.children if child.type == "string"]
            yield Declaration(
                kind=_KINDS[node.type],
                name=next(text(child) for child in node.children if child.type == "identifier"),
                line=node.start_point.row + 1,
                node=node,
                target=literal(strings[0]) or "" if strings else "",
                existing=any(child.type == "existing" for child in node.children),
                decorators=decorators,
            )
            decorators = {}


def _decorator(node: Node) -> tuple[str, tuple[str, ...]]:
    call = node.named_children[0]
    name, arguments = call.named_children[0], call.named_children[1:]
    return text(name), tuple(literal(each) or text(each) for group in arguments for each in group.named_children)


def _outer(node: Node) -> Iterator[Node]:
    """What lies in a declaration, without looking into objects."""
    for child in node.children:
        yield child
        if child.type in {"for_statement", "if_statement"}:
            yield from _outer(child)


def _through_types(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        if child.type == "type":
            yield from child.children
