"""Ranking models: implicit ALS by Spark ML, EASE, both together, and the baselines that they have to beat.

All are `FactorModel`s, so that one way of ranking serves them all. In the first three, movies of equal score are
ordered by how much they have been rated of late, and a user without any history gets just that order.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALSModel
from pyspark.mllib.linalg import Vectors
from pyspark.mllib.linalg.distributed import RowMatrix
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from movie_recs.als.compiled import collect_interactions, select_seen
from movie_recs.als.spark_ml import blocks_for, fit_weighted_als, prepare_fit
from movie_recs.data.schemas import LIKED_STARS
from movie_recs.model.factor_model import Arrays, FactorModel, Folding, arrays, factor_table, with_zeros
from movie_recs.model.top_n import top_n
from movie_recs.parameters import ImplicitAlsParameters, PreferenceParameters, RankingParameters
from movie_recs.ranking.ease import USER_EXPONENT, Spectrum, decompose, ease_features, interaction_matrix
from movie_recs.ranking.metrics import measure_rankings
from movie_recs.ranking.preferences import LEAST_WEIGHT, collect_rows, fold_in_preferences, fold_in_rows, make_folding
from movie_recs.tuning.candidate import RankingCandidate
from movie_recs.tuning.trial import Measures, Outcome, Trial, attempt

RECENT_DAYS = 365.0  # after which a rating counts half in the popularity that orders what is otherwise equal
TIE_BREAK = 1e-6  # the bias of the most popular movie: below any difference that matters between scores
RANDOM_RANK = 16
BASELINES = ("random", "most_popular", "damped_mean")


class RankingParts(NamedTuple):
    """What a fit of the preferences gives, of which the models are made.

    Args:
        als_model: Spark ML's, as it came.
        ids: (m,) all movies, ascending.
        als_items: (m, rank) float32, zeros for a movie without preferences.
        spectrum: Of who preferred what; its vectors are (m, r).
        bias: (m,) that breaks ties.
    """

    als_model: ALSModel
    ids: np.ndarray
    als_items: np.ndarray
    spectrum: Spectrum
    bias: np.ndarray


def preferences(ratings: DataFrame, preference: PreferenceParameters) -> DataFrame:
    """(user_id, movie_id, rating float, rated_at): the ratings that count, `rating` being how much (`preferences.s`).

    Args:
        ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, ...).
        preference: Which count, and how much a star above the user's mean adds.
    """
    user = Window.partitionBy("user_id")
    stars = F.col("rating").cast("double")
    marked = ratings.withColumn("mean", F.avg(stars).over(user))
    least = {"all": F.lit(0.0), "liked": F.lit(LIKED_STARS), "above_mean": F.col("mean")}[preference.preferred]
    counted = marked.filter(stars >= least).withColumn("mean", F.avg(stars).over(user))
    weight = F.greatest(1 + preference.star_weight * (stars - F.col("mean")), F.lit(LEAST_WEIGHT))
    return counted.select("user_id", "movie_id", weight.cast("float").alias("rating"), "rated_at")


def fit_parts(
    ratings: DataFrame,
    movie_ids: np.ndarray,
    als: ImplicitAlsParameters,
    parameters: RankingParameters,
    engine: str,
    als_model: ALSModel | None = None,
) -> RankingParts:
    """The fit of both models; ALS is always Spark ML's.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        movie_ids: (m,) ascending, all movies that may be recommended.
        als: Its hyperparameters.
        parameters: Preferences, EASE's rank and the seed.
        engine: Where EASE is decomposed: `kernel`, in the driver's memory, or `spark`.
        als_model: ALS of these ratings, if there is one already.
    """
    counted, tuning = preferences(ratings, parameters.preference).cache(), parameters.tuning  # ALS and EASE read it
    als_model = als_model or fit_weighted_als(prepare_fit(counted, blocks_for(counted, als.rank)), als, tuning.seed)
    factors = als_model.itemFactors.toPandas()
    als_items = np.zeros((len(movie_ids), als_model.rank), np.float32)
    als_items[np.searchsorted(movie_ids, factors["id"])] = np.stack(factors["features"])
    decompose_preferences = {"kernel": _decompose_in_memory, "spark": _decompose_by_spark}[engine]
    spectrum = decompose_preferences(counted, movie_ids, tuning.ease_rank, tuning.seed)
    counted.unpersist()
    return RankingParts(als_model, movie_ids, als_items, spectrum, recent_popularity(ratings, movie_ids) * TIE_BREAK)


def compose(
    parts: RankingParts,
    candidate: RankingCandidate,
    preference: PreferenceParameters,
    ratings: DataFrame,
    engine: str,
) -> FactorModel:
    """The candidate's model, of as many features as it uses.

    Args:
        parts: The fit.
        candidate: Hyperparameters.
        preference: Which ratings count.
        ratings: (user_id, movie_id, rating, rated_at), of the users that the model is to know.
        engine: Where their vectors are made: `kernel`, in the driver's memory, or `spark`.
    """
    spark = ratings.sparkSession
    if engine == "kernel":
        rated = None if candidate.weights is None else collect_rows(ratings)
        *sides, folding = compose_sides(parts, candidate, preference, rated)
        users, items = (factor_table(spark, side.ids, side.bias[:-1], side.features[:-1]) for side in sides)
        return FactorModel(0.0, users, items, folding=folding)
    items, folding = compose_items(parts, candidate, preference)
    model = FactorModel(0.0, None, factor_table(spark, parts.ids, parts.bias, items), folding=folding)
    users = _fitted_users(parts) if candidate.weights is None else fold_in_preferences(model, ratings)
    return model._replace(users=users)


def compose_sides(
    parts: RankingParts, candidate: RankingCandidate, preference: PreferenceParameters, rated: pa.Table | None
) -> tuple[Arrays, Arrays, Folding]:
    """Users and movies of the candidate's model in memory, and how a user's vector is made.

    Arguments are as of `compose`, `rated` as `collect_rows` has it; without weights of a candidate's, it is not read.
    """
    vectors, folding = compose_items(parts, candidate, preference)
    items = with_zeros(parts.ids, parts.bias.astype(np.float32), vectors)
    if candidate.weights is None:
        return arrays(_fitted_users(parts)), items, folding
    ids, features = fold_in_rows(rated, items, folding)
    return with_zeros(ids, np.zeros(len(ids)), features), items, folding


def _fitted_users(parts: RankingParts) -> DataFrame:
    """The users as ALS has fitted them."""
    return parts.als_model.userFactors.select("id", F.lit(0.0).cast("float").alias("bias"), "features")


def compose_items(
    parts: RankingParts, candidate: RankingCandidate, preference: PreferenceParameters
) -> tuple[np.ndarray, Folding]:
    """The movies' vectors (m, k) float32, ALS's part first, and how a user's is made; arguments as of `compose`."""
    sides = [np.zeros((len(parts.ids), 0), np.float32)]
    sides += [] if candidate.als is None else [parts.als_items]
    als_size = sides[-1].shape[1]
    sides += [] if candidate.ease_reg is None else [ease_features(parts.spectrum, candidate.ease_reg)]
    items = np.hstack(sides)
    return items, make_folding(candidate, preference, als_size, items.shape[1] - als_size)


def fit_baseline(name: str, ratings: DataFrame, movie_ids: np.ndarray, seed: int, damping: float) -> FactorModel:
    """A model that knows nothing of a user: `random`, by the seed, or as `baseline_scores` has it."""
    spark, no_bias = ratings.sparkSession, np.zeros(len(movie_ids))
    users = ratings.select(F.col("user_id").alias("id")).distinct()
    if name == "random":
        ids = np.sort(users.toArrow()["id"].to_numpy())
        known = ids, np.zeros(len(ids)), random_vectors(ids, seed)
        sides = known, (movie_ids, no_bias, random_vectors(movie_ids, ~seed))
        return FactorModel(0.0, *(factor_table(spark, *side) for side in sides))
    nobody = users.selectExpr("id", "cast(0 as float) as bias", "cast(array() as array<float>) as features")
    scores = baseline_scores(name, ratings, movie_ids, damping)
    return FactorModel(0.0, nobody, factor_table(spark, movie_ids, scores, np.zeros((len(movie_ids), 0))))


def random_vectors(ids: np.ndarray, seed: int) -> np.ndarray:
    """(n, RANDOM_RANK) float32 of length 1: their dot products give each user another order of the movies."""
    vectors = np.random.default_rng(seed % 2**64).standard_normal((len(ids), RANDOM_RANK), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def baseline_scores(name: str, ratings: DataFrame, movie_ids: np.ndarray, damping: float) -> np.ndarray:
    """(m,): what a model that ranks alike for everybody says of each movie.

    Args:
        name: `most_popular`, by number of ratings; `damped_mean`, by mean stars with some ratings at the mean of all
            added.
        ratings: (user_id int, movie_id int, rating float in stars).
        movie_ids: (m,) ascending.
        damping: How many ratings are added.
    """
    table = ratings.groupBy("movie_id").agg(F.count("*").alias("n"), F.sum("rating").alias("stars")).toPandas()
    places = np.searchsorted(movie_ids, table["movie_id"])
    counts, stars = (np.bincount(places, table[column], len(movie_ids)) for column in ("n", "stars"))
    mean = stars.sum() / counts.sum()
    return {
        "most_popular": counts,
        "damped_mean": (stars + damping * mean) / (counts + damping),
    }[name]


def recent_popularity(ratings: DataFrame, movie_ids: np.ndarray) -> np.ndarray:
    """(m,) from 0 to 1: the movies' ratings, each counting half after `RECENT_DAYS`, relative to the most popular.

    Without times every rating counts the same.
    """
    newest = ratings.agg(F.max("rated_at")).first()[0]
    age = F.datediff(F.lit(newest), "rated_at") if newest else F.lit(0)
    weight = F.pow(F.lit(2.0), -F.coalesce(age, F.lit(0)) / F.lit(RECENT_DAYS))
    table = ratings.groupBy("movie_id").agg(F.sum(weight).alias("weight")).toPandas()
    total = np.bincount(np.searchsorted(movie_ids, table["movie_id"]), table["weight"], len(movie_ids))
    return total / max(total.max(initial=0), np.finfo(float).tiny)


class RankingEngine:
    """Runs ranking trials as Spark jobs, for ratings that no task's memory holds.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, fold int).
        movie_ids: (m,) ascending, all movies that may be recommended.
        parameters: Preferences, k and seed.
    """

    def __init__(self, train_ratings: DataFrame, movie_ids: np.ndarray, parameters: RankingParameters):
        self._ratings, self._movie_ids, self._parameters = train_ratings.cache(), movie_ids, parameters
        self._parts: dict[tuple, RankingParts] = {}  # of the last fold and ALS

    def __enter__(self) -> "RankingEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self._ratings.unpersist()

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """One after the other, those of the same fold and fit together."""
        for trial in sorted(trials, key=lambda each: (each.fold, each.candidate.fit_key, each.candidate.max_iter or 0)):
            (outcome,) = attempt(lambda trial=trial: [self._measure(trial)], [trial])
            yield trial, outcome

    def _measure(self, trial: Trial) -> Measures:
        candidate, preference = trial.candidate, self._parameters.preference
        train = self._ratings.filter(F.col("fold") != trial.fold)
        held_out = self._ratings.filter(F.col("fold") == trial.fold)
        key = (trial.fold, candidate.als)
        if key not in self._parts:
            als = candidate.als or self._parameters.tuning.grid.candidates()[0]
            self._parts = {key: fit_parts(train, self._movie_ids, als, self._parameters, "spark")}
        model = compose(self._parts[key], candidate, preference, train, "spark")
        k, users = self._parameters.evaluation.k, train.select("user_id").distinct()
        lists = top_n(model, users, train.select("user_id", "movie_id"), k).withColumn("model", F.lit("trial"))
        no_genres = "cast(array() as array<string>) as genres"
        movies = train.sparkSession.createDataFrame([(int(each),) for each in self._movie_ids], "movie_id int")
        row = measure_rankings(lists, held_out, train, movies.selectExpr("movie_id", no_genres), k).first()
        return {"ndcg": row["ndcg"] if row else None, "ndcg_se": row["ndcg_se"] if row else None}


def _decompose_in_memory(counted: DataFrame, movie_ids: np.ndarray, rank: int, seed: int) -> Spectrum:
    seen = select_seen(collect_interactions(counted, movie_ids))
    return decompose(interaction_matrix(seen.user_starts, seen.movies, len(movie_ids)), rank, seed)


def _decompose_by_spark(counted: DataFrame, movie_ids: np.ndarray, rank: int, seed: int) -> Spectrum:  # noqa: ARG001
    """The same by Spark's singular value decomposition: the ratings stay where they are, the movies' side does not."""
    movies = counted.sparkSession.createDataFrame(
        [(int(each), place) for place, each in enumerate(movie_ids)], "movie_id int, place int"
    )
    value = F.pow(F.count("*").over(Window.partitionBy("user_id")), F.lit(-USER_EXPONENT))
    cells = counted.join(movies, "movie_id", how="inner").select("user_id", "place", value.alias("value")).cache()
    scale = cells.agg(F.sqrt(F.avg(F.col("value") ** 2))).first()[0]
    rows = cells.groupBy("user_id").agg(F.sort_array(F.collect_list(F.struct("place", "value"))).alias("cells"))
    size = len(movie_ids)
    vectors = rows.rdd.map(
        lambda row: Vectors.sparse(size, [(cell["place"], cell["value"] / scale) for cell in row["cells"]])
    ).cache()
    found = RowMatrix(vectors, numCols=size).computeSVD(min(rank, size, vectors.count()))
    cells.unpersist()
    vectors.unpersist()
    return Spectrum(found.V.toArray()[:, ::-1], found.s.toArray()[::-1] ** 2)
