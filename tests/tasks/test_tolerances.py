"""A tolerance of symmetry or of frequencies is decided in one place."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tasks import tolerances

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tasks" / "tolerances.py"
DECIDED = {
    "symprec",
    "tight",
    "loose",
    "tolerances",
    "degeneracy_tolerance",
    "frequency_cutoff",
    "stability_tolerance",
}
SEARCHES = {"find_dataset", "analyze_symmetry", "space_group_of", "standardize", "idealise"}


def is_literal(node: ast.AST | None) -> bool:
    """Whether a default is a number, or is made of numbers alone, also inside of a `Field`."""
    match node:
        case ast.Constant(value=float()):
            return True
        case ast.Tuple(elts=elements):
            return any(map(is_literal, elements))
        case ast.Call(func=ast.Name(id="Field"), args=[first, *_]):
            return is_literal(first)
    return False


def named_values(tree: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Defaults of parameters, values of fields and of keywords, and arguments of searches."""
    for node in ast.walk(tree):
        match node:
            case ast.arguments():
                positional = [*node.posonlyargs, *node.args]
                defaults = [None] * (len(positional) - len(node.defaults)) + node.defaults
                yield from ((a.arg, d) for a, d in zip(positional, defaults, strict=True))
                yield from (
                    (a.arg, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True)
                )
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node.value
            case ast.keyword(arg=str(name)):
                yield name, node.value
            case ast.Call(func=ast.Name(id=name), args=[_, second, *_]) if name in SEARCHES:
                yield "symprec", second


def decisions(text: str) -> list[str]:
    """Names of tolerances that a text gives a number."""
    found = named_values(ast.parse(text))
    return [name for name, value in found if name in DECIDED and is_literal(value)]


@pytest.mark.parametrize(
    "text",
    [
        "def f(atoms, symprec: float = 1e-5): ...",
        "def f(*, frequency_cutoff=0.01): ...",
        "class S:\n    tolerances: tuple = Field((LOOSE, 0.2), description='')",
        "search(cell, symprec=1e-3)",
        "find_dataset(atoms, 0.05)",
    ],
)
def test_a_number_of_ones_own_is_found(text):
    assert len(decisions(text)) == 1


@pytest.mark.parametrize(
    "path",
    [p for folder in ("tasks", "flows") for p in sorted((ROOT / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_tolerance_is_decided_elsewhere(path):
    assert decisions(path.read_text()) == []


def test_each_has_its_reason():
    """A text follows each number, and says something that is true of no other one."""
    body = ast.parse(TABLE.read_text()).body
    named = [node.target.id for node in body if isinstance(node, ast.AnnAssign)]
    reasons = [
        after.value.value
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr)
    ]
    assert len(set(reasons)) == len(named) == sum(name.isupper() for name in vars(tolerances))
