"""Nothing in the package that reads data can be made to run it, and the exceptions have their reasons."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "movie_recs"
MODULES = sorted(PACKAGE.rglob("*.py"))

RUNS_TEXT = {"eval", "exec", "compile", "__import__"}  # builtins
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
READS_PICKLES = {"pandas.read_pickle", "pandas.io.pickle.read_pickle", "torch.load", "sklearn.externals.joblib.load"}
LOADS_OBJECTS = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load"}
READS_XML = {"xml.etree.ElementTree", "xml.dom.minidom", "xml.sax", "lxml.etree"}  # entities that expand without end
EXTRACTS = {"extractall", "extract", "unpack_archive"}  # an archive's names may lead out of its folder
EXCEPTIONS = {  # (module, what): why it is safe
    ("data/spark_blocks.py", "pickle"): "results of this run's own tasks, which never leave Spark",
    (
        "tuning/carriers.py",
        "pickle",
    ): "trial data of this run's own driver, checked by their hash, and results of its tasks",
    ("data/movielens.py", "extractall"): "each name in the archive is checked before anything is written",
}


def names_of(tree: ast.Module) -> dict[str, str]:
    """The full name of each name that is imported."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
            names |= {alias.name: alias.name for alias in node.names if not alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """The name of a function as it would be imported; empty if it has none."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, names)
        return f"{owner}.{node.attr}" if owner else node.attr
    return ""


def dangers(source: str) -> set[str]:
    """What a source can be made to run."""
    tree = ast.parse(source)
    names, found = names_of(tree), set()
    for name in names.values():
        found |= {name.split(".")[0]} & PICKLES
        found |= {module for module in READS_XML if f"{name}.".startswith(f"{module}.")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in RUNS_TEXT and node.id not in names:
            found.add(node.id)
        if isinstance(node, ast.Name | ast.Attribute):
            found |= {full_name(node, names)} & (SHELLS | READS_PICKLES | LOADS_OBJECTS)
        if isinstance(node, ast.Attribute) and node.attr in EXTRACTS | {"read_pickle", "to_pickle"}:
            found.add(node.attr)
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            is_false = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in ("shell", "allow_pickle") and not is_false:
                found.add(keyword.arg)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_unpickles_evaluates_or_shells_out(path):
    module = str(path.relative_to(PACKAGE))
    found = dangers(path.read_text(encoding="utf-8"))
    assert found == {what for name, what in EXCEPTIONS if name == module}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", {"pickle"}),
        ("from joblib import load as read", {"joblib"}),
        ("def f(text):\n    return eval(text)", {"eval"}),
        ("run = exec\nrun(text)", {"exec"}),
        ("import os\nos.system(name)", {"os.system"}),
        ("from os import popen\npopen(name)", {"os.popen"}),
        ("import subprocess as s\ns.run(name, shell=True)", {"shell"}),
        ("import subprocess\nsubprocess.run([name], shell=False)", set()),
        ("import subprocess\nsubprocess.run([name])", set()),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", {"allow_pickle"}),
        ("import numpy as np\nnp.load(path)", set()),
        ("import pandas as pd\npd.read_pickle(path)", {"pandas.read_pickle", "read_pickle"}),
        ("import yaml\nyaml.load(text, yaml.Loader)", {"yaml.load"}),
        ("import yaml\nyaml.safe_load(text)", set()),
        ("import xml.etree.ElementTree as tree", {"xml.etree.ElementTree"}),
        ("import zipfile\nzipfile.ZipFile(path).extractall()", {"extractall"}),
        ("import re\nre.compile(text)", set()),
        ("frame.eval", set()),
        ("'eval(text), pickle'", set()),
    ],
)  # fmt: skip
def test_each_way_to_run_data_is_found(source, found):
    assert dangers(source) == found


def test_each_exception_has_its_reason():
    assert all(len(reason.split()) > 3 for reason in EXCEPTIONS.values())
