"""What tests share: one Spark session, configured as the project's own, and runs of pipelines in this process."""

import os
from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pyspark.sql import SparkSession

from movie_recs.runtime.config import ConfigLoader
from movie_recs.runtime.spark import configure_spark
from movie_recs.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[1]
LONGEST_FIRST = [  # under tests/; with two workers, no long file is left for the end
    "runs/test_own_data.py",
    "runs/test_whole_run.py",
    "runs/test_remote_spark.py",
    "runs/test_real_data.py",
    "runs/test_package.py",
    "runs/test_rerank.py",
    "ranking/test_fit.py",
    "fuzz/test_rows.py",
    "rating/test_fit.py",
    "runs/test_command_line.py",
    "ranking/test_leaderboard.py",
    "als/test_spark_ml.py",
    "runs/test_faults.py",
    "ranking/test_metrics.py",
    "runs/test_odd_data.py",
    "rating/test_biases.py",
    "rating/test_trial.py",
    "model/test_users.py",
    "ranking/test_trial.py",
    "runs/test_refresh.py",
    "runs/test_new_users.py",
    "runs/test_changed_data.py",
    "runs/test_recommend.py",
    "runs/test_killed_run.py",
    "runs/test_serve.py",
    "runs/test_notebook.py",
    "report/test_page_in_a_browser.py",
    "report/test_your_list_in_a_browser.py",
]


def find_movielens() -> Path:
    """The folder that has ml-latest-small: `MOVIELENS_DIR` if it is set, else where `make data` puts it."""
    if folder := os.environ.get("MOVIELENS_DIR"):
        return Path(folder).absolute()
    places = [ROOT / "data" / "01_raw", ROOT.parent / "shared" / "movielens"]
    return next((place for place in places if (place / "ml-latest-small").is_dir()), places[0])


MOVIELENS = find_movielens()
needs_movielens = pytest.mark.skipif(
    not (MOVIELENS / "ml-latest-small" / "ratings.csv").exists(),
    reason=f"needs ml-latest-small in {MOVIELENS} (make data, or set MOVIELENS_DIR)",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, and in this order."""
    order = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


WITHOUT_DESCRIPTIONS = {  # of plans, for messages and checks of Spark's own: a fifth of the CPU time
    "spark.sql.dataFrameQueryContext.enabled": False,
    "spark.python.sql.dataFrameDebugging.enabled": False,
    "spark.sql.lightweightPlanChangeValidation": False,
    "spark.sql.ui.explainMode": "simple",
}
FOR_FEW_ROWS = {  # another quarter; the runs in processes of their own have what users have
    **WITHOUT_DESCRIPTIONS,
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": 2,
    "spark.sql.adaptive.enabled": False,
    "spark.sql.codegen.wholeStage": False,
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """The session of conf/base/spark.yml, on two cores on every machine, and quick with the few rows of tests."""
    options = ConfigLoader(str(ROOT / "conf"), **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})["spark"]
    java = f"{options['spark.driver.extraJavaOptions']} -XX:+UseSerialGC"
    configure_spark({**options, **FOR_FEW_ROWS, "spark.driver.extraJavaOptions": java}, ROOT / "conf" / "base")
    return SparkSession.builder.getOrCreate()


@pytest.fixture(scope="session")
def kedro_run(spark):
    """Runs pipelines in this process: `kedro_run(data_dir, *pipelines, **parameters)`; the data set is the sample."""
    bootstrap_project(ROOT)

    def run(
        data_dir: Path,
        *pipelines: str,
        raw: Path = ROOT / "data" / "01_raw",
        nodes: list[str] | None = None,
        **parameters,
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MOVIE_RECS_DATA_DIR", str(data_dir))
            patch.setenv("MOVIELENS_DIR", str(raw))
            runtime_params = {"dataset": "sample", **parameters}
            with KedroSession.create(ROOT, runtime_params=runtime_params) as session:
                session.run(pipeline_names=list(pipelines) or None, node_names=nodes)

    return run
