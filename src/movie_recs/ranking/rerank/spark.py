"""Lists of the second stage through Spark: a user's ratings travel with her vector to the task that makes her list."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data.blocks import tasks_at_a_time
from movie_recs.data.interactions import read_interactions
from movie_recs.data.movie_filters import MovieFacts
from movie_recs.data.spark_interactions import interaction_columns
from movie_recs.model.arrangement import BY_SCORE, Arrangement
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import FactorModel, arrays, feature_matrix
from movie_recs.model.search import search
from movie_recs.ranking.rerank.features import Known
from movie_recs.ranking.rerank.lists import SecondStage

COLUMNS = ("user_id", "movie_id", "rating", "fold", "time")


def reranked_top_n(
    model: FactorModel,
    second: SecondStage,
    users: DataFrame,
    ratings: DataFrame,
    n: int,
    candidates: np.ndarray | None = None,
    arrangement: Arrangement = BY_SCORE,
) -> DataFrame:
    """The n best movies for each user by the second stage, of those that she has not rated.

    Args:
        model: The first stage's model, with its users; users that it does not know are left out.
        second: The second stage.
        users: (user_id int).
        ratings: (user_id int, movie_id int, rating float in stars, perhaps rated_at timestamp), all ratings of them.
        n: Length of the lists; shorter where less is left.
        candidates: Ids of the only movies to recommend; None for all of the model.
        arrangement: How the best become a list.

    Returns:
        As `top_n.top_n`, `score` being the second stage's.
    """
    own = interaction_columns(ratings.join(users, "user_id", how="left_semi"))
    history = own.groupBy("user_id").agg(F.collect_list(F.struct(*COLUMNS)).alias("rated"))
    nothing = F.array().cast(history.schema["rated"].dataType)
    queries = (
        model.users.join(users, F.col("id") == F.col("user_id"), how="left_semi")
        .join(history, F.col("id") == F.col("user_id"), how="left")
        .select(
            "id",
            "bias",
            "features",
            F.coalesce("rated", nothing).alias("rated"),
        )
    )
    sides = arrays(model.items)
    kept = np.ones(len(sides.ids), bool) if candidates is None else np.isin(sides.ids, candidates)
    features = sides.features[:-1][kept].astype(np.float32)
    items = prepare_items(sides.ids[kept], sides.bias[:-1][kept], features, DOT)
    lists = partial(_list_batches, second, items, n, model.intercept, arrangement)
    spread = queries.repartition(tasks_at_a_time(queries.sparkSession), "id")  # one task per core
    return spread.mapInArrow(lists, "user_id int, rank int, movie_id int, score double")


def collect_known(movies: DataFrame, ratings: DataFrame, has_stars: bool) -> Known:
    """What is known of all movies, by ascending id.

    Args:
        movies: (movie_id int, year int or null, genres array<string>, ...).
        ratings: (movie_id int, rating float, ...).
        has_stars: False for events.
    """
    table = ratings.groupBy("movie_id").agg(F.count("*").alias("number"), F.sum("rating").alias("sum")).toArrow()
    facts = collect_facts(movies)
    places = np.searchsorted(facts.ids, table["movie_id"].to_numpy())
    counts, sums = (np.bincount(places, table[name].to_numpy(), len(facts.ids)) for name in ("number", "sum"))
    return Known.of(facts.ids, facts._replace(rated=counts), sums if has_stars else None)


def collect_facts(movies: DataFrame) -> MovieFacts:
    """The movies (movie_id int, year int or null, genres array<string>, ...) by ascending id, without their ratings."""
    table = movies.select("movie_id", "year", "genres").toArrow().sort_by("movie_id")
    return MovieFacts.read(table, np.zeros(len(table), np.int64))


def _list_batches(
    second: SecondStage,
    items: Items,
    n: int,
    intercept: float,
    arrangement: Arrangement,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    ids = second.stage.ranking.items.ids
    number = min(second.candidates(n, arrangement), len(items.ids))
    for batch in batches:
        rated = pa.Table.from_struct_array(batch["rated"].flatten())
        ratings = read_interactions(rated, ids)
        counts = batch["rated"].value_lengths().to_numpy()
        owners = np.repeat(np.arange(len(counts)), counts)
        movies = rated["movie_id"].to_numpy()
        seen = movies[np.lexsort((movies, owners))]
        bias = intercept + batch["bias"].to_numpy(zero_copy_only=False).astype(float)
        for found in search(
            batch["id"].to_numpy(), bias, feature_matrix(batch["features"]), seen, counts, items, number
        ):
            lists = second.lists(found, ratings, items, n, arrangement)
            columns = [pa.array(column) for column in lists.values()]
            yield pa.RecordBatch.from_arrays(columns, ["user_id", "rank", "movie_id", "score"])
