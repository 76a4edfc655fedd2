"""The table of faults, made from the tests that are marked `fault(injected, seen)`.

    .venv/bin/python tests/faults/table.py

writes the README of this folder.
"""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
README = Path(__file__).with_name("README.md")
HEAD = """# What was tried to break it

Each row is a test. Most use real processes, signals and files; where a failure cannot be had at will, such as a broken PDF engine, it is raised in its place. `table.py` makes this table from the tests.

| injected | seen | test |
|---|---|---|
"""


def rows() -> list[tuple[str, str, str]]:
    """Return what each marked test injects and sees, and where it is."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                place = f"{path.relative_to(TESTS).as_posix()}::{node.name}"
                found += [(*marked, place) for marked in map(_read, node.decorator_list) if marked]
    return found


def make() -> str:
    """Return the table with its head."""
    return HEAD + "".join(f"| {injected} | {seen} | `{at}` |\n" for injected, seen, at in rows())


def _read(decorator: ast.expr) -> tuple[str, str] | None:
    if not isinstance(decorator, ast.Call) or not ast.unparse(decorator.func).endswith(
        "mark.fault"
    ):
        return None
    injected, seen = map(ast.literal_eval, decorator.args)
    return injected, seen


if __name__ == "__main__":
    README.write_text(make(), encoding="utf-8")
