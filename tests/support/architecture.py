"""What `tests/test_architecture.py` asks of the source: each rule as a function from parsed modules to violations.

A violation is a line of text that names the place. An empty list is a rule that is kept.
"""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

type FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match)


@dataclass(frozen=True)
class Module:
    """A parsed source file under its dotted name."""

    name: str
    tree: ast.Module
    lines: int
    is_package: bool = False

    @property
    def room(self) -> str:
        """The first part of the name: the folder that is the architecture's unit."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Import:
    """One imported name. `target` is dotted and absolute; `type_only` stands under `if TYPE_CHECKING`."""

    target: str
    line: int
    in_function: bool
    type_only: bool


def parse(name: str, source: str, *, is_package: bool = False) -> Module:
    """A module from its text."""
    return Module(name, ast.parse(source), len(source.splitlines()), is_package)


def load(root: Path, rooms: Iterable[str]) -> list[Module]:
    """Every Python file of these rooms under `root`; a room is a folder, or a file `room.py`."""
    modules = []
    for room in rooms:
        files = [root / f"{room}.py"] if (root / f"{room}.py").exists() else sorted((root / room).rglob("*.py"))
        for path in files:
            parts = path.relative_to(root).with_suffix("").parts
            package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if package else parts)
            modules.append(parse(name, path.read_text(encoding="utf-8"), is_package=package))
    return modules


def is_within(target: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is one of `packages`, or lies in one."""
    return any(target == package or target.startswith(f"{package}.") for package in packages)


# -- imports ----------------------------------------------------------------------------------------------------


@cache
def imports(module: Module) -> tuple[Import, ...]:
    """Everything the module imports, wherever it stands; `importlib.import_module("x")` counts as importing x."""
    return tuple(_imports(module, module.tree, in_function=False, type_only=False))


def _imports(module: Module, node: ast.AST, *, in_function: bool, type_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for target in _targets(module, child):
            yield Import(target, getattr(child, "lineno", 0), in_function, type_only)
        inside = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = type_only or (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"))
        yield from _imports(module, child, in_function=inside, type_only=guarded)


def _targets(module: Module, node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(base, names, level):
            origin = _absolute(module, base, level or 0)
            return [f"{origin}.{alias.name}" for alias in names]
        case ast.Call(
            ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module"),
            [ast.Constant(str(target)), *_],
        ):
            return [target]
        case _:
            return []


def _absolute(module: Module, base: str | None, level: int) -> str:
    if level == 0:
        return base or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - level + (1 if module.is_package else 0)]
    return ".".join([*parts, base] if base else parts)


def wrong_directions(modules: Iterable[Module], allowed: Mapping[str, Collection[str]]) -> list[str]:
    """Imports of a room (a key of `allowed`) by a room that `allowed` does not let import it."""
    return [
        f"{module.name}:{each.line} imports {each.target}"
        for module in modules
        if module.room in allowed
        for each in imports(module)
        if (room := each.target.partition(".")[0]) in allowed and room not in allowed[module.room]
    ]


def importers(modules: Iterable[Module], package: str) -> list[str]:
    """The names of the modules that import `package` or something in it."""
    return [m.name for m in modules if any(is_within(each.target, [package]) for each in imports(m))]


def environment_readers(modules: Iterable[Module]) -> list[str]:
    """The names of the modules that look at the process's environment."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}

    def reads(node: ast.AST) -> bool:
        match node:
            case ast.Attribute(ast.Name("os"), attr):
                return attr in names
            case _:
                return False

    return [
        module.name
        for module in modules
        if any(map(reads, ast.walk(module.tree)))
        or any(is_within(each.target, [f"os.{name}" for name in names]) for each in imports(module))
    ]


def imports_in_functions(modules: Iterable[Module], heavy: Collection[str]) -> list[str]:
    """Imports inside functions of anything that is not one of the `heavy` packages."""
    return [
        f"{module.name}:{each.line} imports {each.target} inside a function"
        for module in modules
        for each in imports(module)
        if each.in_function and not is_within(each.target, heavy)
    ]


def graph(modules: Iterable[Module]) -> dict[str, set[str]]:
    """Which of the modules import which at run time, by name."""
    known = {module.name: module for module in modules}
    return {
        name: {
            found
            for each in imports(module)
            if not each.type_only and (found := _resolved(each.target, known)) and found != name
        }
        for name, module in known.items()
    }


def _resolved(target: str, known: Collection[str]) -> str | None:
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target or None


def cycles(edges: Mapping[str, Collection[str]]) -> list[str]:
    """Import cycles, each as `a -> b -> a`."""
    found: list[str] = []
    finished: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append(" -> ".join([*trail[trail.index(name) :], name]))
        elif name not in finished:
            for following in sorted(edges.get(name, ())):
                visit(following, [*trail, name])
            finished.add(name)

    for name in sorted(edges):
        visit(name, [])
    return found


def reachable(edges: Mapping[str, Collection[str]], start: str) -> set[str]:
    """`start`, and every module that importing it imports."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return seen


# -- determinism ------------------------------------------------------------------------------------------------

IMPURE = (
    *("time", "random", "secrets", "uuid", "os", "sys", "asyncio", "threading", "multiprocessing", "subprocess"),
    *("socket", "ssl", "http", "urllib", "sqlite3", "pathlib", "io", "tempfile", "shutil", "logging"),
    *("aiohttp", "httpx", "httpx2", "requests", "grpc", "openai", "azure"),
    *("shared.state", "shared.messaging", "shared.artifacts", "shared.llm", "shared.memory"),
    *("opentelemetry", "shared.telemetry"),
    *("shared.resources", "shared.settings", "shared.clock", "shared.credentials"),
)
_CLOCKS = ("now", "utcnow", "today")


def is_pattern(module: Module) -> bool:
    """Whether a module of orchestrations is one whose code is replayed: it defines a generator."""
    return any(
        isinstance(node, ast.FunctionDef) and any(isinstance(part, ast.Yield | ast.YieldFrom) for part in _own(node))
        for node in ast.walk(module.tree)
    )


def impurities(module: Module) -> list[str]:
    """What in a module would make a replay differ: a clock, randomness, the environment, the outside."""
    found = [
        f"{module.name}:{each.line} imports {each.target}"
        for each in imports(module)
        if not each.type_only and is_within(each.target, IMPURE)
    ]
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(value, attr) if attr in _CLOCKS and ast.unparse(value).endswith(("datetime", "date")):
                found.append(f"{module.name}:{node.lineno} reads a clock: {ast.unparse(node)}")
            case ast.Call(ast.Name("open" | "input"), _):
                found.append(f"{module.name}:{node.lineno} calls {ast.unparse(node.func)}")
            case _:
                pass
    return found


# -- sizes ------------------------------------------------------------------------------------------------------


def functions(module: Module) -> Iterator[FunctionNode]:
    """Every function of the module, methods and nested ones included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def long_modules(modules: Iterable[Module], limit: int) -> list[str]:
    """Modules of more than `limit` lines."""
    return [f"{module.name} has {module.lines} lines" for module in modules if module.lines > limit]


def long_functions(modules: Iterable[Module], limit: int) -> list[str]:
    """Functions of more than `limit` lines, from `def` to the last one."""
    return [
        f"{module.name}.{node.name} has {length} lines"
        for module in modules
        for node in functions(module)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > limit
    ]


def deep_functions(modules: Iterable[Module], limit: int) -> list[str]:
    """Functions whose blocks stand more than `limit` deep in one another; `elif` is as deep as its `if`."""
    return [
        f"{module.name}.{node.name} is nested {depth} deep"
        for module in modules
        for node in functions(module)
        if (depth := max((_depth(statement) for statement in node.body), default=0)) > limit
    ]


def _depth(node: ast.AST) -> int:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return 0
    inner = 0
    for name, value in ast.iter_fields(node):
        children = [child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)]
        chained = isinstance(node, ast.If) and name == "orelse" and len(children) == 1
        for child in children:
            deeper = _depth(child)
            inner = max(inner, deeper - 1 if chained and isinstance(child, ast.If) else deeper)
    return inner + isinstance(node, _BLOCKS)


def _own(function: FunctionNode) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


# -- docstrings -------------------------------------------------------------------------------------------------


def undocumented(modules: Iterable[Module]) -> list[str]:
    """Modules, public classes and their public functions without a docstring; an `@override` has its base's."""
    found = []
    for module in modules:
        if ast.get_docstring(module.tree) is None:
            found.append(module.name)
        found += [f"{module.name}.{name}" for name in _undocumented_in(module.tree, "")]
    return found


def _undocumented_in(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or child.name.startswith("_"):
            continue
        if any(ast.unparse(decorator).endswith("override") for decorator in child.decorator_list):
            continue
        if ast.get_docstring(child) is None:
            yield prefix + child.name
        if isinstance(child, ast.ClassDef):
            yield from _undocumented_in(child, f"{prefix}{child.name}.")
