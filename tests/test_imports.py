"""Imports point one way: pipelines -> library -> schemas and parameters."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "movie_recs"
KEDRO_SIDE = {"settings", "hooks", "console", "config", "pipeline_registry"}
LIBRARY = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem not in {*KEDRO_SIDE, "__init__"})
FOUNDATIONS = {"errors", "schemas", "parameter_types", "parameters", "candidates"}


def imported(source: str) -> set[str]:
    """Full names of all modules, or of things in them, that a source imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inside(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def test_every_way_to_import_is_seen():
    source = "import kedro.io\nfrom kedro import config\ndef f():\n    from movie_recs.pipelines.eda import nodes\n"
    assert imported(source) == {"kedro.io", "kedro.config", "movie_recs.pipelines.eda.nodes"}


@pytest.mark.parametrize("module", LIBRARY)
def test_library_knows_neither_kedro_nor_what_is_built_on_it(module):
    names = imported((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    above = ["pipelines", "datasets", *KEDRO_SIDE]
    assert not inside(names, "kedro")
    assert not inside(names, "kedro_datasets")
    assert not {name for layer in above for name in inside(names, f"movie_recs.{layer}")}


@pytest.mark.parametrize("module", sorted(FOUNDATIONS))
def test_foundations_stand_on_each_other_only(module):
    names = inside(imported((PACKAGE / f"{module}.py").read_text(encoding="utf-8")), "movie_recs")
    assert {name.split(".")[1] for name in names} <= FOUNDATIONS
