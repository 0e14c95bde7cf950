"""The saved models as a model of MLflow, which answers what the pipeline `recommend` does, without Spark."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from movie_recs.data.parameters import FilterParameters
from movie_recs.data.schemas import list_text
from movie_recs.errors import UserError
from movie_recs.saved_models import newest_version
from movie_recs.serve.answers import Person, known_person, new_person, recommend
from movie_recs.serve.places import OBJECTIVES, Places
from movie_recs.serve.snapshot import TABLES, Snapshot, load_snapshot
from movie_recs.serve.web.given import resolve
from movie_recs.serve.web.requests import GivenRating

NAME = "recommender"
PACKAGES = ("numpy", "scipy", "numba", "pandas", "pyarrow", "pydantic", "jinja2", "fastapi", "fsspec")  # of `serve`
LISTS = ("because", "because_shares")
COLUMNS = ["user", "rank", "movie_id", "title", "year", "score", "predicted_stars", *LISTS]
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec("string", "user"),
            ColSpec("string", "movie", required=False),
            ColSpec("double", "rating", required=False),
        ]
    ),
    params=ParamSchema([ParamSpec("n", "integer", 10)]),
)

# It has a signature of its own.
warnings.filterwarnings("ignore", message=r"[\s\S]*Add type hints to the `predict` method", category=UserWarning)


class Recommender(mlflow.pyfunc.PythonModel):
    """Lists for users, known by the ratings in the input or, without any there, by those in the data."""

    def load_context(self, context: Any) -> None:
        """Reads the models and tables that were logged."""
        folder = Path(context.artifacts["data"])
        dataset = json.loads((folder / "data_set.json").read_text(encoding="utf-8"))["dataset"]
        self._snapshot = load_snapshot(Places(folder, dataset))

    def predict(
        self,
        context: Any,  # noqa: ARG002 - MLflow gives it
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """The lists of the users, in the order of the input.

        Args:
            context: MLflow's.
            model_input: (user string, movie string: an id or a title, rating double), each rating later than the one
                before. A user of the data is a row without a movie.
            params: `n`, the length of a list.

        Returns:
            (user, rank, movie_id, title, year, score, predicted_stars, because string, because_shares string), the
            last two as CSV files have them.

        Raises:
            UserError: A user or a movie is unknown, or a rating is not on the scale.
        """
        n = int((params or {}).get("n", 10))
        whole = model_input.reindex(columns=["user", "movie", "rating"])
        rows: list[Mapping[str, Any]] = []
        for user, given in whole.groupby("user", sort=False):
            listed = recommend(self._snapshot, _person(self._snapshot, str(user), given), n, FilterParameters())
            rows += [{**row, "user": user, **{name: list_text(name, row[name]) for name in LISTS}} for row in listed]
        return pd.DataFrame(rows, columns=COLUMNS)


def log_recommender(places: Places) -> None:
    """Logs the newest models of a data set, with what a list needs, to the active run."""
    with tempfile.TemporaryDirectory() as folder:
        _copy(places, Path(folder))
        mlflow.pyfunc.log_model(
            name=NAME,
            python_model=Recommender(),
            artifacts={"data": folder},
            signature=SIGNATURE,
            code_paths=[str(Path(__file__).parents[1])],
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", *PACKAGES)],
        )


def _copy(places: Places, folder: Path) -> None:
    """Copies the models and tables of a snapshot; their places in the folder are as below `data_dir`."""
    copy = Places(folder, places.dataset)
    (folder / "data_set.json").write_text(json.dumps({"dataset": places.dataset}), encoding="utf-8")
    for name in TABLES:
        shutil.copytree(places.table(name), copy.table(name))
    shutil.copy(places.data_summary, copy.data_summary)
    for objective in OBJECTIVES:
        for name in ("factor_model", "als_model"):
            if found := newest_version(places.model(objective, name)):
                shutil.copytree(found.folder, copy.model(objective, name) / found.name / name)


def _person(snapshot: Snapshot, user: str, given: pd.DataFrame) -> Person:
    rated = given[given["movie"].notna()]
    if len(rated):
        ratings = [
            GivenRating(movie=movie, rating=None if pd.isna(stars) else float(stars))
            for movie, stars in zip(rated["movie"], rated["rating"], strict=True)
        ]
        return new_person(snapshot, *resolve(snapshot, ratings))
    person = known_person(snapshot, user)
    if person is None:
        raise UserError(f"user {user!r} is not in the data: give ratings.")
    return person
