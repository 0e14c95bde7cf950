"""Top-N lists for users, and similar movies: `exact_search` on the tables of a model in Spark.

Queries and lists are Arrow batches; the catalogue is sent with the tasks. There is never a row for each pair.
"""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data.blocks import tasks_at_a_time
from movie_recs.model.arrangement import BY_SCORE, Arrangement, arrange
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import FactorModel, feature_matrix
from movie_recs.model.search import BLOCK, METRICS, search


def top_n(
    model: FactorModel,
    users: DataFrame,
    seen: DataFrame,
    n: int,
    candidates: DataFrame | np.ndarray | None = None,
    arrangement: Arrangement = BY_SCORE,
) -> DataFrame:
    """The n movies with the highest scores for each user, without those that the user has seen.

    A movie with an infinite or NaN score is never recommended. The movies' side must fit in the memory of the driver
    and of each worker; what a task needs beyond it does not grow with the number of users.

    Args:
        model: The model; users that it does not know are left out.
        users: (user_id int).
        seen: (user_id int, movie_id int), what not to recommend.
        n: Length of the lists; shorter where less is left.
        candidates: (movie_id int) or an array of ids, the only movies to recommend; None for all of the model.
        arrangement: How the best candidates become a list (`arrangement.arrange`).

    Returns:
        (user_id int, rank int from 1, movie_id int, score double); ties by movie_id.
    """
    history = (
        seen.join(users, "user_id", how="left_semi")
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_set("movie_id")).alias("seen"))
    )
    queries = (
        model.users.join(users, F.col("id") == F.col("user_id"), how="left_semi")
        .join(history, F.col("id") == F.col("user_id"), how="left")
        .select("id", "bias", "features", F.coalesce("seen", F.array().cast("array<int>")).alias("seen"))
    )
    items = _collect_items(model.items, candidates, DOT)
    best = _best_items(queries, items, n, model.intercept, arrangement)
    return best.select(
        F.col("id").alias("user_id"), "rank", F.col("item_id").alias("movie_id"), F.col("value").alias("score")
    )


def similar_items(
    model: FactorModel,
    movies: DataFrame,
    n: int,
    metric: Literal["l2", "cosine"] = "l2",
    candidates: DataFrame | np.ndarray | None = None,
) -> DataFrame:
    """The n movies nearest to each movie by the distance of their features, without the movie itself.

    `l2` is |a - b|; `cosine` is 1 - a.b / (|a| |b|), and 1 where a or b is 0. Between movies with the same features
    both are 0, to the last bit. All features of the model count.

    Args:
        model: The model.
        movies: (movie_id int); those that the model does not know are left out.
        n: Length of the lists; shorter where there are fewer movies.
        metric: Which distance.
        candidates: (movie_id int) or an array of ids, the only movies to list; None for all of the model.

    Returns:
        (movie_id int, rank int from 1, similar_movie_id int, distance double); ties by similar_movie_id.

    Raises:
        ValueError: The metric is unknown.
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r} but should be one of {', '.join(METRICS)}")
    queries = model.items.join(movies, F.col("id") == F.col("movie_id"), how="left_semi").select(
        "id", F.lit(0.0).cast("float").alias("bias"), "features", F.array("id").alias("seen")
    )
    best = _best_items(queries, _collect_items(model.items, candidates, METRICS[metric]), n)
    return best.select(
        F.col("id").alias("movie_id"),
        "rank",
        F.col("item_id").alias("similar_movie_id"),
        (0.0 - F.col("value")).alias("distance"),  # a plain minus would turn 0.0 into -0.0
    )


def _collect_items(items: DataFrame, candidates: DataFrame | np.ndarray | None, measure: int) -> Items:
    """One side of a model in memory, or the candidates among it."""
    table = items.select("id", "bias", "features").toArrow().combine_chunks()
    ids, bias = table["id"].to_numpy(), table["bias"].to_numpy()
    features = feature_matrix(table["features"].combine_chunks())
    if candidates is not None:
        kept = np.isin(ids, _ids_of(candidates))
        ids, bias, features = ids[kept], bias[kept], features[kept]
    return prepare_items(ids, bias, features, measure)


def _ids_of(candidates: DataFrame | np.ndarray) -> np.ndarray:
    if isinstance(candidates, DataFrame):
        return candidates.select("movie_id").distinct().toArrow()["movie_id"].to_numpy()
    return candidates


def _best_items(
    queries: DataFrame, items: Items, n: int, intercept: float = 0.0, arrangement: Arrangement = BY_SCORE
) -> DataFrame:
    """(id int, rank int, item_id int, value double): the n highest scores of each query (id, bias, features, seen)."""
    find = partial(_search_batches, items, n, intercept, BLOCK, arrangement)
    # One task per core: without a number, Spark would coalesce the partitions, as they are small.
    spread = queries.repartition(tasks_at_a_time(queries.sparkSession), "id")
    return spread.mapInArrow(find, "id int, rank int, item_id int, value double")


def _search_batches(
    items: Items,
    n: int,
    intercept: float,
    block: tuple[int, int],
    arrangement: Arrangement,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """The rows of `_best_items`, one block of queries at a time."""
    candidates = min(arrangement.candidates(n), len(items.ids))
    for batch in batches:
        bias = intercept + batch["bias"].to_numpy(zero_copy_only=False).astype(float)  # null becomes NaN
        seen, seen_counts = batch["seen"].flatten().to_numpy(), batch["seen"].value_lengths().to_numpy()
        ids, features = batch["id"].to_numpy(), feature_matrix(batch["features"])
        for found in search(ids, bias, features, seen, seen_counts, items, candidates, block):
            yield pa.RecordBatch.from_pydict(arrange(found, items, n, arrangement))
