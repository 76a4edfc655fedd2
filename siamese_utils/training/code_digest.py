"""A digest of the code that a function reaches, so that nothing stored is reused stale."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# Plain data, of which keys hold what they need, such as the SHA-256 of images wherever they come
# from, and plumbing, which shapes no number.
LEFT_OUT = {
    "atomic_io",
    "checksummed_npz",
    "data.fashion_mnist",
    "data.datasets",
    "training.config",
    "settings",
}
LEFT_OUT |= {f"training.{name}" for name in ("cache", "code_digest", "machine", "progress")}


@cache
def code_digest(*names: str) -> str:
    """Return a SHA-256 of what these definitions reach in the package, themselves included.

    names: dotted below the package, such as `training.tasks.contrastive`. Functions, classes
    and constants count as far as they are mentioned, by name or as ```module.name`; comments,
    docstrings, annotations and layout do not. Raises ValueError for a name that is not there.
    """
    reached: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        module, _, own = name.rpartition(".")
        node = _definitions(module).get(own)
        if node is None and name in names:
            raise ValueError(f"there is no {name} in the package")
        if node is None or name in reached:  # a module, or of another library
            continue
        reached[name] = ast.unparse(node)
        waiting += _mentions(module, node)
    text = "\n".join(f"{name}\n{reached[name]}" for name in sorted(reached))
    return hashlib.sha256(text.encode()).hexdigest()


def source_of(name: str) -> str:
    """Return the source of a definition, as it stands, without loading its module."""
    module, _, own = name.rpartition(".")
    text = _file_of(module).read_text(encoding="utf-8")
    [node] = [n for n in ast.parse(text).body if getattr(n, "name", "") == own]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _file_of(module: str) -> Path:
    path = PACKAGE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse(module: str) -> ast.Module:
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
    """Return what a module defines at its top level, by name, but for what is left out."""
    found: dict[str, ast.stmt] = {}
    for node in () if module in LEFT_OUT else _parse(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            found |= {name.id: node for name in names}
    return found


@cache
def _imports(module: str) -> dict[str, str]:
    """Return the names that a module imports from the package, inside functions too."""
    found = {}
    for node in ast.walk(_parse(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            origin = node.module.removeprefix(PACKAGE.name).removeprefix(".")
            for alias in node.names:
                found[alias.asname or alias.name] = f"{origin}.{alias.name}".lstrip(".")
    return found


def _mentions(module: str, node: ast.stmt) -> list[str]:
    imports = _imports(module)
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.append(imports.get(part.id, f"{module}.{part.id}"))
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            origin = imports.get(part.value.id)
            if origin and _file_of(origin).exists():  # a module, and no class
                found.append(f"{origin}.{part.attr}")
    return found
