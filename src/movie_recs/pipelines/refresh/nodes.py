"""New ratings since the last run, cleaned and folded into the users' vectors: without a fit, and without Spark."""

import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from movie_recs.data.id_numbers import IdTable
from movie_recs.data.interactions import read_interactions
from movie_recs.data.merging import Merger
from movie_recs.data.movie_features import known_features
from movie_recs.data.plain_cleaning import Ratings, plain_ratings
from movie_recs.data.plain_movies import new_movies, only_rated
from movie_recs.data.schemas import IMDB, SEPARATORS, list_text
from movie_recs.data.sources.layouts import OWN
from movie_recs.data.sources.plain import PlainTable
from movie_recs.data.sources.profile import Profile
from movie_recs.data.sources.reading import file_name
from movie_recs.errors import UserError
from movie_recs.model.factor_model import factor_rows, read_arrays
from movie_recs.model.new_items import predict_items
from movie_recs.model.users import user_rows
from movie_recs.ranking.rules import read_rule
from movie_recs.report.parameters import RecommendParameters, RefreshParameters
from movie_recs.saved_models import SINCE_FIT, FactorTables
from movie_recs.serve.answers import known_person, recommend
from movie_recs.serve.snapshot import Snapshot

logger = logging.getLogger(__name__)


class NewRows(NamedTuple):
    """What is new.

    Args:
        ratings: (user_id, movie_id, rating, rated_at): all clean ratings, the new ones among them.
        movies: (movie_id, title, ...): all movies.
        user_ids: (id, original).
        movie_ids: (id, original).
        touched: (u,) int32, ascending: the users with new or changed ratings.
        counts: `new_ratings`, `new_users`, `new_movies`; `left`: rows that the next whole run will judge; `vanished`.
    """

    ratings: pa.Table
    movies: pa.Table
    user_ids: pa.Table
    movie_ids: pa.Table
    touched: np.ndarray
    counts: dict[str, int]


def find_new_rows(
    raw_ratings: PlainTable,
    raw_movies: PlainTable,
    raw_links: PlainTable,
    ratings: pa.Table,
    movies: pa.Table,
    user_ids: pa.Table,
    movie_ids: pa.Table,
    set_aside: pa.Table,
    source_profile: dict[str, Any],
    parameters: RefreshParameters,
) -> NewRows:
    """The clean tables with what is new in the raw ones, or in a file of new ratings.

    Raises:
        UserError: The data are events, or their ratings are in no file.
    """
    profile, source = Profile.of(source_profile), raw_ratings.source
    if not raw_ratings.is_there:
        raise UserError("The ratings of this data set are in no file: name one of new ratings by refresh.ratings.")
    if profile.scale is None:
        raise UserError("refresh needs ratings: the strength of events is a sum over all of them, so use `kedro run`.")
    users, items, known = IdTable(user_ids), IdTable(movie_ids), Ratings.of_table(ratings)
    are_own, known_movies = source.layout == OWN, movies["movie_id"].to_numpy()
    added, left = new_movies(raw_movies, raw_links, items, set(known_movies.tolist()), are_own)
    listed = np.union1d(known_movies, added["movie_id"].to_numpy())
    merger = Merger(known, is_whole=parameters.ratings is None)
    records = set_aside.filter(pc.equal(set_aside["file"], file_name(source, "ratings")))["record"]
    for rows in raw_ratings.batches():
        found, plain = plain_ratings(rows, profile.time_unit, profile.scale, users, items)
        is_listed = np.full(len(found.movies), are_own) | np.isin(found.movies, listed)
        merger.add(found.take(is_listed))
        plain[plain] = is_listed
        judged = pc.is_in(rows["record"].filter(pa.array(~plain)), value_set=records.cast(pa.binary()))
        left += len(judged) - pc.sum(judged).as_py() if len(judged) else 0
    merged = merger.merge()
    if are_own:
        rated = np.setdiff1d(merged.ratings.movies[merged.is_new], listed)
        added = pa.concat_tables([added, only_rated(rated.tolist(), items.table)])
    touched = np.unique(merged.ratings.users[merged.is_new])
    counts = {
        "new_ratings": int(merged.is_new.sum()),
        "users": len(touched),
        "new_users": len(np.setdiff1d(touched, known.users)),
        "new_movies": len(added),
        "left": left,
        "vanished": merged.vanished,
    }
    _log(counts)
    movies = pa.concat_tables([movies.cast(added.schema), added])
    return NewRows(merged.ratings.to_table(), movies, users.table, items.table, touched, counts)


def save_movies(new_rows: NewRows) -> tuple[pa.Table, pa.Table, pa.Table]:
    """All movies, and the ids of users and of movies; they are saved first, as models and ratings refer to them."""
    return new_rows.movies, new_rows.user_ids, new_rows.movie_ids


def refresh_model(model: FactorTables, new_rows: NewRows, movies: pa.Table) -> tuple[FactorTables, int]:
    """The model with vectors of new movies, by their genres and years, and of users with new ratings, by fold-in.

    Returns:
        The model, and how many ratings are new or changed since it was fitted.

    Raises:
        UserError: The model has no rule.
    """
    numbers, rule = dict(model.numbers), read_rule(model.numbers)
    if rule is None:
        raise UserError("The model has no rule, so that it cannot make users' vectors from ratings: use `kedro run`.")
    items = _with_new_movies(model.items, movies)
    arrays = read_arrays(items, np.float32)
    is_touched = pc.is_in(new_rows.ratings["user_id"], value_set=pa.array(new_rows.touched))
    own = Ratings.of_table(new_rows.ratings.filter(is_touched))
    folds = np.zeros(len(own.users), np.int16)
    columns = dict(zip(("user_id", "movie_id", "rating", "time"), own, strict=True))
    rated = read_interactions(pa.table({**columns, "fold": folds}), arrays.ids)
    folded = user_rows(rule, arrays, numbers["intercept"], rated).cast(model.users.schema)
    others = model.users.filter(pc.invert(pc.is_in(model.users["id"], value_set=pa.array(new_rows.touched))))
    numbers[SINCE_FIT] = numbers.get(SINCE_FIT, 0) + new_rows.counts["new_ratings"]
    return FactorTables(numbers, pa.concat_tables([others, folded]), items), numbers[SINCE_FIT]


def save_ratings(new_rows: NewRows, *since_fit: int) -> tuple[pa.Table, int]:  # noqa: ARG001 - after the models
    """All ratings, and their number; saved after the models, so that the next run makes up for one that died before."""
    return new_rows.ratings, len(new_rows.ratings)


def describe_refresh(
    new_rows: NewRows, rating_count: int, data_summary: dict[str, Any], parameters: RefreshParameters, *since_fit: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data's summary with the new numbers, and what is new, with how stale the fit is.

    The latter is {the counts of `NewRows`, since_fit: ratings that are new or changed since the fit, share: of all
    ratings, whole_run: whether it is time for one}.
    """
    since, users = max(since_fit), pc.count_distinct(new_rows.ratings["user_id"]).as_py()
    share = since / max(rating_count, 1)
    summary = {**data_summary, "users": users, "movies": len(new_rows.movies), "ratings": rating_count}
    due = share > parameters.most_since_fit
    advice = "run `kedro run`, which fits again" if due else f"a whole run is due at {parameters.most_since_fit:.0%}"
    logger.log(
        logging.WARNING if due else logging.INFO,
        "%s of %s ratings (%.1f%%) are new since the models were fitted: %s.",
        f"{since:,}", f"{rating_count:,}", 100 * share, advice,
    )  # fmt: skip
    return {**summary, SINCE_FIT: since}, {**new_rows.counts, SINCE_FIT: since, "share": share, "whole_run": due}


def recommend_again(
    snapshot: Snapshot,
    new_rows: NewRows,
    refresh_summary: dict[str, Any],  # noqa: ARG001 - after all is saved
    recommendations: pa.Table,
    parameters: RecommendParameters,
) -> tuple[pa.Table, pd.DataFrame]:
    """`recommendations` with a new list of every user with new ratings, as Parquet and as CSV; the others stay."""
    rows: list[dict[str, Any]] = []
    imdb_ids = dict(zip(*(new_rows.movies[name].to_pylist() for name in ("movie_id", "imdb_id")), strict=True))
    owners = [snapshot.user_ids.original(number) for number in new_rows.touched.tolist()]
    for owner in owners:
        person = known_person(snapshot, str(owner))
        if person is None:
            continue
        arrangement = parameters.diversity, parameters.series_apart
        for row in recommend(snapshot, person, parameters.top_n, parameters.filters, *arrangement):
            imdb = imdb_ids.get(snapshot.catalogue.find_id(str(row["movie_id"])))
            url = None if imdb is None else f"{IMDB}{imdb}/"
            rows.append({"user_id": owner, **row, "imdb_url": url})
    fresh = pa.Table.from_pylist(rows, recommendations.schema)
    is_old = pc.is_in(recommendations["user_id"], value_set=pa.array(owners, recommendations["user_id"].type))
    lists = pa.concat_tables([recommendations.filter(pc.invert(is_old)), fresh])
    lists = lists.sort_by([("user_id", "ascending"), ("rank", "ascending")])
    frame = lists.to_pandas().astype({"year": "Int64"})
    for name in SEPARATORS.keys() & set(lists.column_names):  # lists of an older run have no shares
        frame[name] = [list_text(name, each) for each in lists[name].to_pylist()]
    return lists, frame


def _with_new_movies(items: pa.Table, movies: pa.Table) -> pa.Table:
    """The movies' side with those that it does not have."""
    table = movies.select(["movie_id", "year", "genres"]).to_pandas().sort_values("movie_id")
    ids = table["movie_id"].to_numpy()
    if np.isin(ids, items["id"].to_numpy()).all():
        return items
    features = known_features(table, genres=1.0, year=1.0)
    new = predict_items(read_arrays(items, np.float32), ids, features)
    return pa.concat_tables([items, factor_rows(new.ids, new.bias[:-1], new.features[:-1]).cast(items.schema)])


def _log(counts: dict[str, int]) -> None:
    logger.info(
        "%s new or changed ratings of %s users, %s of them new, and %s new movies",
        *(f"{counts[name]:,}" for name in ("new_ratings", "users", "new_users", "new_movies")),
    )
    if counts["left"]:
        logger.warning(
            "%s rows are left for the next whole run, which says why they are bad or takes them", f"{counts['left']:,}"
        )
    if counts["vanished"]:
        logger.warning(
            "%s ratings are no longer in the raw data; they stay until the next whole run", f"{counts['vanished']:,}"
        )
