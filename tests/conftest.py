"""What tests share: one Spark session, configured as the project's own."""

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
MOVIELENS = Path(os.environ.get("MOVIELENS_DIR", ROOT.parent / "shared" / "movielens")).absolute()

needs_movielens = pytest.mark.skipif(
    not (MOVIELENS / "ml-latest-small" / "ratings.csv").exists(),
    reason=f"needs ml-latest-small in {MOVIELENS} (make data, and MOVIELENS_DIR=data/01_raw)",
)


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """The session of conf/base/spark.yml, on two cores wherever it runs."""
    loader = ConfigLoader(str(ROOT / "conf"), **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})
    configure_spark({**loader["spark"], "spark.master": "local[2]"}, ROOT / "conf" / "base")
    return SparkSession.builder.getOrCreate()


@pytest.fixture(scope="session")
def kedro_run(spark):
    """Runs pipelines in this process: `kedro_run(data_dir, pipelines, **parameters)`; the data set is the sample."""
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
