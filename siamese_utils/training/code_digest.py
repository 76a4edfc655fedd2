"""A digest of the code that a computation uses, so that a cache key changes when the code does."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# Modules that do not change results. Data modules are among them, since cache keys hold digests of
# the data themselves.
LEFT_OUT = {
    "atomic_io",
    "checksummed_npz",
    "data.fashion_mnist",
    "data.datasets",
    "training.new_class_networks",
    "training.config",
    "settings",
}
LEFT_OUT |= {f"training.{name}" for name in ("cache", "code_digest", "machine", "progress")}


@cache
def code_digest(*names: str) -> str:
    """Compute the SHA-256 of definitions in the package and of all that they use.

    A function, class or constant of the package is used if a definition mentions it, by its name or
    as `module.name`. Comments, docstrings, annotations and layout do not count.

    Args:
        *names: Definitions, dotted below the package, such as `training.tasks.contrastive`.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: A name is not defined in the package.
    """
    sources: dict[str, str] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        module, _, definition = name.rpartition(".")
        node = _definitions(module).get(definition)
        if node is None and name in names:
            raise ValueError(f"there is no {name} in the package; check the spelling")
        if node is not None and name not in sources:
            sources[name] = ast.unparse(node)
            pending += _mentions(module, node)
    text = "\n".join(f"{name}\n{sources[name]}" for name in sorted(sources))
    return hashlib.sha256(text.encode()).hexdigest()


def source_of(name: str) -> str:
    """Return the source of a function or class, dotted below the package, without importing it."""
    module, _, definition = name.rpartition(".")
    text = _file_of(module).read_text(encoding="utf-8")
    [node] = [n for n in ast.parse(text).body if getattr(n, "name", "") == definition]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _file_of(module: str) -> Path:
    path = PACKAGE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse(module: str) -> ast.Module:
    """Parse a module and remove docstrings and annotations."""
    tree = ast.parse(_file_of(module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        if hasattr(node, "returns"):
            node.returns = None
        if hasattr(node, "annotation"):
            node.annotation = ast.Constant(...) if isinstance(node, ast.AnnAssign) else None
    return tree


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """Return the top-level definitions of a module by name; {} if it is in LEFT_OUT."""
    definitions: dict[str, ast.stmt] = {}
    for node in () if module in LEFT_OUT else _parse(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            definitions |= {name.id: node for name in names}
    return definitions


@cache
def _imports(module: str) -> dict[str, str]:
    """Return local name -> dotted name of all imports from the package, also inside functions."""
    imports = {}
    for node in ast.walk(_parse(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            origin = node.module.removeprefix(PACKAGE.name).removeprefix(".")
            for alias in node.names:
                imports[alias.asname or alias.name] = f"{origin}.{alias.name}".lstrip(".")
    return imports


def _mentions(module: str, node: ast.stmt) -> list[str]:
    """Return the dotted names that a definition may refer to, among them names of local variables."""
    imports = _imports(module)
    mentions = []
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            mentions.append(imports.get(part.id, f"{module}.{part.id}"))
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            origin = imports.get(part.value.id)
            if origin and _file_of(origin).exists():  # otherwise an attribute of a class
                mentions.append(f"{origin}.{part.attr}")
    return mentions
