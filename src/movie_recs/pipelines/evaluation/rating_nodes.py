"""The errors of the rating models on the test ratings, and metrics.json."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.groups import ALL, DECADES, MOVIES, USERS, count_group, decade, rows_by_kind
from movie_recs.data.identifiers import to_numbers, to_originals
from movie_recs.data.parameters import SplitParameters
from movie_recs.data.scale import Scale, scale_of
from movie_recs.model.factor_model import FactorModel
from movie_recs.model.scoring import on_step, to_stars
from movie_recs.model.users import add_users
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import describe_movies
from movie_recs.rating.fit import fit_candidate, fit_compiled
from movie_recs.rating.ladder import COMPARED_WITH, RIVALS, Ladder, nothing, score_ladder
from movie_recs.rating.memory import choose_rating_carrier
from movie_recs.rating.metrics import BINS, count_bin, errors_by_group, rating_errors, rmse_gains
from movie_recs.rating.parameters import RatingParameters
from movie_recs.report import figures
from movie_recs.tuning.comparison import pairs_of
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import DataSize

DECIMALS = 10


def fit_reference(train_ratings: DataFrame, parameters: RatingParameters) -> FactorModel:
    """Plain ALS with the reference parameters, fitted on the train ratings."""
    candidate = RatingCandidate(model="reference_als", **parameters.evaluation.reference.model_dump())
    return fit_candidate(train_ratings, None, candidate, parameters.tuning.seed).factor_model


def fit_rivals(
    train_ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    cv_results: pd.DataFrame,
    best_params: dict[str, Any],
    winner: FactorModel,
    parameters: RatingParameters,
    carrier: str,
) -> list[FactorModel]:
    """The best of each of `RIVALS` in cross-validation, fitted on the train ratings; the winner is not fitted again.

    A rival that cross-validation left out is `nothing`.
    """
    catalogue = describe_movies(movies, parameters.features)
    carrier, _ = choose_rating_carrier(
        carrier, DataSize.of(data_summary), catalogue, parameters.tuning, movies.sparkSession
    )

    def fit(model: str) -> FactorModel:
        if model == best_params["model"]:
            return winner
        if model not in set(cv_results["model"]):
            return nothing(movies.sparkSession)
        best = best_candidate(cv_results, RatingCandidate, model)
        return fit_compiled(train_ratings, catalogue, best, parameters.tuning.seed, carrier)

    return [fit(model) for model in RIVALS]


def predict_test(
    reference_als: FactorModel,
    als: FactorModel,
    bias_als: FactorModel,
    taste_als: FactorModel,
    bayes: FactorModel,
    best_params: dict[str, Any],
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    fold_in_ratings: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
) -> DataFrame:
    """One row per test rating: how many train ratings its user and its movie have, and the score by each model.

    New users are scored by their fold-in ratings, which count as their `user_ratings`.

    Returns:
        (user_id, movie_id as the data has them, rating, user_ratings, movie_ratings, a column of scores for each model
        of the ladder, predicted_stars): the stars of the winner, within the scale, which scores need not be.
    """
    ladder = Ladder(reference_als, als, bias_als, taste_als, bayes)
    known = {"user": train_ratings, "movie": train_ratings}
    if not fold_in_ratings.isEmpty():
        ladder = Ladder(*(model if model.rule is None else add_users(model, fold_in_ratings) for model in ladder))
        known["user"] = train_ratings.drop("fold").unionByName(fold_in_ratings)
    pairs = test_ratings.select("user_id", "movie_id", "rating")
    for side, ratings in known.items():
        counts = ratings.groupBy(f"{side}_id").agg(F.count("*").cast("int").alias(f"{side}_ratings"))
        pairs = pairs.join(counts, f"{side}_id", how="left").fillna(0, f"{side}_ratings")
    pairs = pairs.select("user_id", "movie_id", "rating", "user_ratings", "movie_ratings")
    scored = score_ladder(ladder, pairs)
    starred = scored.select("*", to_stars(best_params["model"], scale_of(data_summary)).alias("predicted_stars"))
    return to_originals(to_originals(starred, user_ids, "user_id"), movie_ids, "movie_id")


def evaluate_models(
    reference_als: FactorModel,
    als: FactorModel,
    bias_als: FactorModel,
    taste_als: FactorModel,
    bayes: FactorModel,
    train_ratings: DataFrame,
    predictions: DataFrame,
    data_summary: dict[str, Any],
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """One row per model: errors on the test ratings and on the train ratings, and the gain on the model before it.

    A model that was left out has no row.

    Returns:
        Of each model: model; rmse, mae, n, rmse_warm, mae_warm, n_warm as in `metrics.rating_errors`; rmse_share, the
        RMSE as a share of the scale; train_rmse, train_mae; compared_with, gain, gain_se as in `metrics.rmse_gains`.
        Of each pair of models: the columns of `metrics.rmse_gains`.
    """
    scale = scale_of(data_summary)
    pairs = train_ratings.select("user_id", "movie_id", "rating")
    train = score_ladder(Ladder(reference_als, als, bias_als, taste_als, bayes), pairs)
    train_errors = _by_model(_long(train, F.lit(True)), scale)
    test_errors = _by_model(_long(predictions, _is_warm()), scale)
    models = {model: before for model, before in COMPARED_WITH.items() if model in test_errors}
    comparisons = rmse_gains(predictions, pairs_of(list(models)), scale)
    gains = {(row["other"], row["model"]): row for row in _records(comparisons)}
    rows = [
        {
            "model": model,
            **test_errors[model],
            "rmse_share": _share(test_errors[model]["rmse"], scale),
            "train_rmse": train_errors[model]["rmse"],
            "train_mae": train_errors[model]["mae"],
            **({"compared_with": before, **_gain(gains[before, model])} if before else {}),
        }
        for model, before in models.items()
    ]
    return rows, comparisons


def measure_groups(
    predictions: DataFrame, movies: DataFrame, movie_ids: DataFrame, data_summary: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The winner's errors on all test ratings and by group: users and movies by number of train ratings, decades.

    Returns:
        Rows by kind of group, in order: {group, ...} as in `errors_by_group`.
    """
    starred = to_numbers(
        predictions.select("user_id", "movie_id", "rating", "user_ratings", "movie_ratings", "predicted_stars"),
        movie_ids,
        "movie_id",
    ).join(movies.select("movie_id", "year"), "movie_id", how="left")
    groups = {
        ALL: F.lit(ALL),
        USERS: count_group("user_ratings"),
        MOVIES: count_group("movie_ratings"),
        DECADES: decade("year"),
    }
    return rows_by_kind(errors_by_group(starred, groups, scale_of(data_summary)), DECIMALS)


def tabulate_ladder(predictions: DataFrame, data_summary: dict[str, Any]) -> pd.DataFrame:
    """(model, movie_ratings, n, rmse, mae): test errors by how many train ratings the movie has.

    One row per model and bin; `movie_ratings` is all, warm, or a bin of `metrics.count_bin`.
    """
    scale = scale_of(data_summary)
    long = _long(predictions, _is_warm()).withColumn("bin", count_bin("movie_ratings"))
    by_bin = [
        (row["model"], row["bin"], row["n"], row["rmse"], row["mae"]) for row in _collect(long, scale, "model", "bin")
    ]
    for row in _collect(long, scale, "model"):
        by_bin.append((row["model"], "all", row["n"], row["rmse"], row["mae"]))
        by_bin.append((row["model"], "warm", row["n_warm"], row["rmse_warm"], row["mae_warm"]))
    table = pd.DataFrame(by_bin, columns=["model", "movie_ratings", "n", "rmse", "mae"])
    place = {name: number for number, name in enumerate([*COMPARED_WITH, "all", "warm", *BINS])}
    return table.sort_values(["model", "movie_ratings"], key=lambda names: names.map(place), ignore_index=True)


def plot_ladder(model_errors: list[dict[str, Any]], ladder_table: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The error of each model, over all rows and by the movie's number of train ratings."""
    return figures.ladder(model_errors, ladder_table, data_summary)


def count_errors(predictions: DataFrame, data_summary: dict[str, Any]) -> pd.DataFrame:
    """Test ratings by actual stars and by predicted stars, each on a step of the scale.

    Returns:
        (rating, predicted_stars, rows, error_sum, squared_error_sum): an error is predicted minus actual stars.
    """
    scale = scale_of(data_summary)
    rated, rounded = (on_step(F.col(name), scale).alias(name) for name in ("rating", "predicted_stars"))
    error = F.col("predicted_stars") - F.col("rating")
    return (
        predictions.withColumns({"error": error})
        .groupBy(rated, rounded)
        .agg(
            F.count("*").alias("rows"),
            F.sum("error").alias("error_sum"),
            F.sum(F.col("error") ** 2).alias("squared_error_sum"),
        )
        .orderBy("rating", "predicted_stars")
        .toPandas()
    )


def plot_predictions(error_counts: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """Predicted against actual stars."""
    return figures.predicted_against_actual(error_counts, data_summary)


def plot_errors(error_counts: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The error by actual stars."""
    return figures.error_by_rating(error_counts, data_summary)


def collect_metrics(
    data_summary: dict[str, Any],
    split: SplitParameters,
    split_counts: dict[str, int],
    ranking_models: pd.DataFrame,
    ranking_comparisons: pd.DataFrame,
    ranking_params: dict[str, Any],
    ranking_groups: dict[str, Any],
    rating_models: list[dict[str, Any]] | None = None,
    rating_comparisons: pd.DataFrame | None = None,
    rating_params: dict[str, Any] | None = None,
    rating_groups: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The results of a run in one place: data, split, and the models of each objective; of events `ranking` alone."""
    found = {}
    if rating_models is not None and rating_comparisons is not None:
        found["rating"] = {
            "models": rating_models,
            "best_params": rating_params,
            "comparisons": _records(rating_comparisons),
            "groups": rating_groups,
        }
    return {
        "dataset": data_summary,
        "split": {"strategy": split.strategy, "seed": split.seed, **split_counts},
        **found,
        "ranking": {
            "models": _records(ranking_models),
            "best_params": ranking_params,
            "comparisons": _records(ranking_comparisons),
            "groups": ranking_groups,
        },
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, with None where a value is missing."""
    rows = table.to_dict("records")
    return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in rows]


def _gain(comparison: dict[str, Any]) -> dict[str, Any]:
    return {name: comparison[name] for name in ("gain", "gain_se")}


def count_split(train_ratings: DataFrame, test_ratings: DataFrame, fold_in_ratings: DataFrame) -> dict[str, int]:
    """Rows of `train`, `test` and `fold_in`, and how many test users and movies are in none of the ratings before.

    Returns:
        train, test, fold_in; cold_users, without a train or fold-in rating; cold_movies, without a train rating.
    """
    users = train_ratings.select("user_id").union(fold_in_ratings.select("user_id"))
    return {
        "train": train_ratings.count(),
        "test": test_ratings.count(),
        "fold_in": fold_in_ratings.count(),
        **{
            f"cold_{side}s": test_ratings.select(f"{side}_id")
            .distinct()
            .join(known, f"{side}_id", how="left_anti")
            .count()
            for side, known in (("user", users), ("movie", train_ratings))
        },
    }


def _is_warm() -> Column:
    return (F.col("user_ratings") > 0) & (F.col("movie_ratings") > 0)


def _long(scored: DataFrame, warm: Column) -> DataFrame:
    """One row per rating and model of the ladder that has scores: (..., warm boolean, model string, score double)."""
    scored = scored.withColumn("warm", warm)
    others: list[Column | str] = [name for name in scored.columns if name not in COMPARED_WITH]
    return scored.unpivot(others, [*COMPARED_WITH], "model", "score").filter(F.col("score").isNotNull())


def _collect(long: DataFrame, scale: Scale, *by: str) -> list[dict[str, Any]]:
    return [row.asDict() for row in rating_errors(long, *by, scale=scale).collect()]


def _by_model(long: DataFrame, scale: Scale) -> dict[str, dict[str, Any]]:
    return {row.pop("model"): row for row in _collect(long, scale, "model")}


def _share(rmse: float | None, scale: Scale) -> float | None:
    return None if rmse is None else rmse / (scale.most - scale.least)
