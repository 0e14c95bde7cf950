"""The shape of the package: imports point down the page, and only `runtime` reaches below Spark's DataFrame API."""

import ast
import graphlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "movie_recs"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# From the bottom up: a package imports from those below it, never from its own neighbours.
FLOORS = (
    {"errors", "parameter_types", "project", "scratch", "threads"},
    {"data"},
    {"model"},
    {"als", "bayes", "tuning"},
    {"rating", "ranking"},
    {"report", "saved_models"},
    {"parameters"},
    {"runtime"},
    {"serve"},
    {"datasets", "pipelines", "sample"},
    {"tracking"},
    {"pipeline_registry", "settings", "__main__"},
)
FLOOR_OF = {package: number for number, floor in enumerate(FLOORS) for package in floor}
APART = {  # a package that does not import from all below it
    "tuning": {"model"},  # cross-validation does not know what is fitted
    "pipelines": {"parameters", "runtime"},  # nodes are functions of frames and of their part of the parameters
    "pipeline_registry": {"parameters"},
    "sample": {"runtime"},
    "serve": {"parameters", "runtime", "tuning"},  # it reads what runs have saved, without Kedro and Spark
}
EXCEPTIONS = {("sample.__main__", "movie_recs.runtime.java.find_java")}  # a command of its own, which starts Spark

KEDRO_SIDE = {"settings", "tracking", "pipeline_registry", "pipelines", "datasets", "runtime"}
CONTEXT = {  # what Spark Connect does not have, as attributes, imports or texts
    "sparkContext", "SparkContext", "rdd", "RDD", "toRDD", "accumulator", "accumulators", "Accumulator", "Broadcast",
    "parallelize", "setJobGroup", "cancelJobGroup", "setLocalProperty", "statusTracker", "defaultParallelism",
    "RowMatrix", "mllib", "py4j", "_jvm", "_jsc", "_jdf", "_jsparkSession", "_sc", "mapPartitions",
}  # fmt: skip


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


@cache
def imports_of(module: str) -> frozenset[str]:
    return frozenset(imported(MODULES[module].read_text(encoding="utf-8")))


WITHOUT_SPARK = {"serve", "saved_models", "__main__", "parameter_types", "errors", "project", "threads"}


def inside(names: Iterable[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def package_of(module: str) -> str:
    return module.split(".")[0]


def misdirected(module: str, names: Iterable[str]) -> set[str]:
    """What a module imports of this package though it should not."""
    package = package_of(module)
    return {
        name
        for name in inside(names, "movie_recs")
        for other in [name.split(".")[1]]
        if other != package
        and (module, name) not in EXCEPTIONS
        and (FLOOR_OF[other] >= FLOOR_OF[package] or other in APART.get(package, ()))
    }


def context_uses(source: str) -> set[str]:
    """What a source uses of Spark besides its DataFrame API."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            if node.attr in CONTEXT:
                found.add(node.attr)
            elif node.attr == "broadcast" and not (isinstance(node.value, ast.Name) and node.value.id == "F"):
                found.add("broadcast")  # F.broadcast is a hint for a join
        elif isinstance(node, ast.Name | ast.Constant) and (text := getattr(node, "id", getattr(node, "value", ""))):
            found |= {text} & CONTEXT if isinstance(text, str) else set()
    return found | {part for name in imported(source) for part in name.split(".") if part in CONTEXT}


def test_every_way_to_import_is_seen():
    source = "import kedro.io\nfrom kedro import config\ndef f():\n    from movie_recs.pipelines.eda import nodes\n"
    assert imported(source) == {"kedro.io", "kedro.config", "movie_recs.pipelines.eda.nodes"}


def test_every_package_has_its_floor():
    assert {package_of(module) for module in MODULES} - {"__init__"} == set(FLOOR_OF)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "__init__"])
def test_imports_point_down(module):
    assert misdirected(module, imports_of(module)) == set()


@pytest.mark.parametrize(
    ("module", "name", "is_fine"),
    [
        ("ranking.fit", "movie_recs.als.spark_ml.Fit", True),
        ("ranking.fit", "movie_recs.ranking.ease.decompose", True),
        ("ranking.fit", "movie_recs.rating.fit.fit_compiled", False),
        ("data.blocks", "movie_recs.als.kernels", False),
        ("tuning.carriers", "movie_recs.model.search.search", False),
        ("model.users", "movie_recs.als.ridge.RidgeRule", False),
        ("sample.__main__", "movie_recs.runtime.java.find_java", True),
        ("sample.words", "movie_recs.runtime.java.find_java", False),
        ("pipelines.eda.nodes", "movie_recs.runtime.spark.configure_spark", False),
    ],
)
def test_an_import_that_points_elsewhere_is_found(module, name, is_fine):
    assert misdirected(module, {name, "numpy", "pyspark.sql"}) == (set() if is_fine else {name})


def module_of(name: str) -> str | None:
    """The module of a full name, which is that of a module or of a thing in one."""
    name = name.removeprefix("movie_recs.")
    return next((each for each in (name, name.rpartition(".")[0]) if each in MODULES), None)


def test_no_module_imports_itself_through_others():
    graph = {module: {module_of(name) for name in imports_of(module)} - {None} for module in MODULES}
    assert graph["ranking.trial"] >= {"ranking.ease", "als.compiled"}
    assert set(graphlib.TopologicalSorter(graph).static_order()) == set(MODULES)  # a cycle is an error


@pytest.mark.parametrize("module", [module for module in MODULES if package_of(module) not in KEDRO_SIDE])
def test_the_library_does_not_know_kedro(module):
    names = imports_of(module)
    assert inside(names, "kedro") | inside(names, "kedro_datasets") == set()


@cache
def needed_at_once(module: str) -> frozenset[str]:
    """What a module itself imports when it is imported; not what only types need."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return frozenset(imported(ast.unparse(tree)))


def needed_by(module: str) -> set[str]:
    """A module and all that it imports when it is imported, itself or through others."""
    needed, todo = {module}, [module]
    while todo:
        names = needed_at_once(todo.pop())
        todo += {module_of(name) for name in inside(names, "movie_recs")} - {None, *needed}
        needed |= names | set(todo)
    return needed


@pytest.mark.parametrize("module", [module for module in MODULES if package_of(module) in WITHOUT_SPARK])
def test_the_service_does_not_import_spark(module):
    names = needed_by(module)
    assert inside(names, "pyspark") | inside(names, "kedro") | inside(names, "kedro_datasets") == set()


def test_imports_for_types_alone_do_not_count():
    assert inside(imports_of("model.factor_model"), "pyspark")
    assert not inside(needed_by("model.factor_model"), "pyspark")
    assert inside(needed_by("ranking.leaderboard"), "pyspark")


@pytest.mark.parametrize("module", [module for module in MODULES if package_of(module) != "runtime"])
def test_spark_is_used_by_its_dataframe_api(module):
    assert context_uses(MODULES[module].read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("spark.sparkContext.broadcast(values)", {"sparkContext", "broadcast"}),
        ("shared = context.broadcast(values)", {"broadcast"}),
        ("ratings.rdd.map(f)", {"rdd"}),
        ("getattr(spark, '_jvm')", {"_jvm"}),
        ("from pyspark.mllib.linalg.distributed import RowMatrix", {"mllib", "RowMatrix"}),
        ("from pyspark import AccumulatorParam, SparkContext as C", {"SparkContext"}),
        ("def f():\n    import py4j.java_gateway", {"py4j"}),
        ("ratings.join(F.broadcast(movies), 'movie_id')  # no sparkContext, no .rdd", set()),
        ("'''Neither rdd nor sparkContext.'''", set()),
        ("np.broadcast_to(values, shape)", set()),
    ],
)
def test_every_other_use_of_spark_is_found(source, found):
    assert context_uses(source) == found
