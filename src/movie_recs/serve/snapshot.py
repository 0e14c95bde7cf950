"""All that answers are made of, read at one moment and never changed: models, movies and ratings of a data set."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from movie_recs.data.id_numbers import IdNumbers
from movie_recs.data.scale import EVENTS, Scale
from movie_recs.errors import UserError
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import Arrays, Folder, ItemSide, has_vectors
from movie_recs.model.reasons import Reasons
from movie_recs.model.search import METRICS
from movie_recs.ranking.rerank.features import FirstStage, Known
from movie_recs.ranking.rerank.lambdamart import load_lightgbm
from movie_recs.ranking.rerank.lists import SecondStage
from movie_recs.saved_models import (
    SavedModel,
    Version,
    newest_version,
    parts,
    read_als_items,
    read_model,
    read_reranker,
)
from movie_recs.serve.catalogue import Catalogue
from movie_recs.serve.histories import Histories, read_histories
from movie_recs.serve.places import OBJECTIVES, Places
from movie_recs.serve.users import Users, read_users

REASONS = 3  # of the user's own movies, as `pipelines.recommend` has them
RERANKER = "reranker"
TABLES = ("ratings", "movies", "user_ids", "movie_ids")


class Served(NamedTuple):
    """A model with its users, what folds others in (None without a rule), and the version that was fitted, if known.

    A refresh writes a newer version, and leaves the ALS model of the fit as it is.
    """

    model: SavedModel
    users: Users
    fold_in: Folder | None
    fitted: str | None


class Snapshot(NamedTuple):
    """What is served.

    Args:
        fingerprint: Versions of the models, and when the tables were written (`fingerprint`).
        loaded_at: Seconds since 1970.
        summary: The data set's `data_summary`.
        scale: That of the ratings; None for events.
        user_ids: The users' ids.
        catalogue: The movies.
        histories: The ratings.
        ranking: The model of lists.
        rating: The model of stars; None for events.
        searched: The movies of the ranking model, prepared for searches.
        reasons: Explains the ranking model's scores.
        similar: By distance, the movies prepared for a search of similar ones.
        second: The second stage of the ranking model's lists; None if the run that fitted the model fitted none.
    """

    fingerprint: tuple[Any, ...]
    loaded_at: float
    summary: dict[str, Any]
    scale: Scale | None
    user_ids: IdNumbers
    catalogue: Catalogue
    histories: Histories
    ranking: Served
    rating: Served | None
    searched: Items
    reasons: Reasons
    similar: dict[str, Items]
    second: SecondStage | None = None

    @property
    def models(self) -> dict[str, Served]:
        """The models by objective."""
        return {"ranking": self.ranking} | ({} if self.rating is None else {"rating": self.rating})

    @property
    def versions(self) -> dict[str, str]:
        """The version of each objective's model."""
        return dict(self.fingerprint[0])


def fingerprint(places: Places) -> tuple[Any, ...]:
    """What changes when there is something new to serve: the newest complete versions, and the tables' times."""
    newest = ((objective, newest_version(places.model(objective))) for objective in OBJECTIVES)
    versions = tuple((objective, version.name) for objective, version in newest if version)
    if second := _second_version(places):
        versions += ((RERANKER, second.name),)
    files = [*(places.table(name) for name in TABLES), places.data_summary]
    return versions, tuple(file.stat().st_mtime_ns for file in files)


def load_snapshot(places: Places) -> Snapshot:
    """The newest complete models, and the tables as they are.

    Raises:
        UserError: There is no complete ranking model, or no rating model of ratings, or there is a second stage and no
            LightGBM.
        OSError: A table is being replaced at this moment.
    """
    print_before = fingerprint(places)
    summary = json.loads(places.data_summary.read_text(encoding="utf-8"))
    scale = Scale.of(summary)
    histories = read_histories(places.parts("ratings"))
    movie_ids, user_ids = (IdNumbers(pq.read_table(places.table(f"{side}_ids"))) for side in ("movie", "user"))
    with ThreadPoolExecutor(1) as beside:  # titles take Python's time, vectors that of the disk and of NumPy
        described = beside.submit(Catalogue, pq.read_table(places.table("movies")), movie_ids, histories)
        ranking = _load(places, "ranking")
        rating = None if scale is None else _load(places, "rating")
        searched, reasons = _prepare(ranking.model.items, DOT), _reasons(ranking.model)
        similar = _similar(places, rating or ranking, "ranking" if rating is None else "rating")
        catalogue = described.result()
    snapshot = Snapshot(
        fingerprint=print_before,
        loaded_at=time.time(),
        summary=summary,
        scale=scale,
        user_ids=user_ids,
        catalogue=catalogue,
        histories=histories,
        ranking=ranking,
        rating=rating,
        searched=searched,
        reasons=reasons,
        similar=similar,
        second=_second_stage(places, ranking.model, rating and rating.model, catalogue, histories, scale),
    )
    if fingerprint(places) != print_before:
        raise OSError("the tables changed while they were read")
    return snapshot


def _load(places: Places, objective: str) -> Served:
    version = newest_version(places.model(objective))
    if version is None:
        raise UserError(f"There is no complete {objective} model of {places.dataset}: run kedro run first.")
    model = read_model(version.folder)
    fold_in = None if model.rule is None else model.rule.folder(model.items, model.intercept)
    fitted = newest_version(places.model(objective, "als_model"))
    users = read_users(parts(version.folder / "user_factors"))
    return Served(model, users, fold_in, fitted and fitted.name)


def _second_version(places: Places) -> Version | None:
    """The second stage that the run which last fitted a ranking model fitted, if it did.

    That run saved its ALS model too, which a refresh leaves as it is.
    """
    first, second = (newest_version(places.model("ranking", name)) for name in ("als_model", RERANKER))
    return second if first and second and first.name == second.name else None


def _second_stage(
    places: Places,
    ranking: SavedModel,
    rating: SavedModel | None,
    catalogue: Catalogue,
    histories: Histories,
    scale: Scale | None,
) -> SecondStage | None:
    version = _second_version(places)
    if version is None or ranking.rule is None:
        return None
    load_lightgbm()
    stars = None
    if rating is not None and rating.rule is not None:
        stars = ItemSide(rating.items, rating.intercept, rating.rule).of_movies(ranking.items.ids)
    sums = None if scale is None else histories.sums(catalogue.numbers)
    known = Known.of(ranking.items.ids, catalogue.facts, sums)
    side = ItemSide(ranking.items, ranking.intercept, ranking.rule)
    return SecondStage(FirstStage(side, stars, known, (scale or EVENTS).star), read_reranker(version.folder))


def _reasons(model: SavedModel) -> Reasons:
    if model.rule is None:
        raise UserError("The ranking model has no rule, so that it cannot make users' vectors from ratings.")
    return Reasons(model.rule, model.items, model.intercept, REASONS, for_people=True)


def _similar(places: Places, served: Served, objective: str) -> dict[str, Items]:
    """As `pipelines.recommend.find_similar_movies`: a model of biases alone gives way to the ALS model."""
    items = served.model.items
    if not has_vectors(served.model.rule):
        version = newest_version(places.model(objective, "als_model"))
        if version is None:
            raise UserError(f"There is no complete {objective}.als_model of {places.dataset}: run kedro run first.")
        items = read_als_items(version.folder)
    return {metric: _prepare(items, measure) for metric, measure in METRICS.items()}


def _prepare(items: Arrays, measure: int) -> Items:
    return prepare_items(items.ids, items.bias[:-1], items.features[:-1], measure)
