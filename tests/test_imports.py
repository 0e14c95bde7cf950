"""Imports point one way: each package is above what it imports, and the library does not know Kedro."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "movie_recs"
MODULES = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))
KEDRO_SIDE = {"settings", "pipeline_registry", "pipelines", "datasets", "runtime", "__init__"}
LIBRARY = [module for module in MODULES if module.split("/")[0] not in KEDRO_SIDE]
FOUNDATIONS = {"errors", "parameter_types", "parameters"}


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


def imports_of(module: str) -> set[str]:
    return imported((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def inside(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def test_every_way_to_import_is_seen():
    source = "import kedro.io\nfrom kedro import config\ndef f():\n    from movie_recs.pipelines.eda import nodes\n"
    assert imported(source) == {"kedro.io", "kedro.config", "movie_recs.pipelines.eda.nodes"}


@pytest.mark.parametrize("module", LIBRARY)
def test_library_knows_neither_kedro_nor_what_is_built_on_it(module):
    names = imports_of(module)
    assert not inside(names, "kedro")
    assert not inside(names, "kedro_datasets")
    allowed = {"movie_recs.runtime.java.find_java"} if module == "sample/__main__" else set()  # a command of its own
    assert not {name for layer in KEDRO_SIDE for name in inside(names, f"movie_recs.{layer}")} - allowed


@pytest.mark.parametrize("module", sorted(FOUNDATIONS))
def test_foundations_stand_on_each_other_only(module):
    names = inside(imports_of(module), "movie_recs")
    assert {name.split(".")[1] for name in names} <= FOUNDATIONS
