"""How wrong the models are on ratings they have not seen, and what every run is measured by."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs import plots
from movie_recs.als import factor_model, fit_als, prepare_fit
from movie_recs.metrics import cold_counts, rating_errors
from movie_recs.model import FactorModel, score, to_stars
from movie_recs.parameters import EvaluationParameters, SplitParameters, TuningParameters


def fit_reference(train_ratings: DataFrame, evaluation: EvaluationParameters, tuning: TuningParameters) -> FactorModel:
    """The model of the reference parameters, fitted on the train ratings."""
    reference = evaluation.reference
    return factor_model(fit_als(prepare_fit(train_ratings), reference, tuning.seed), reference.reg_param)


def predict_test(model: FactorModel, test_ratings: DataFrame) -> DataFrame:
    """(user_id, movie_id, rating, score, predicted_stars, user_known, movie_known), a row a test rating."""
    return score(model, test_ratings.select("user_id", "movie_id", "rating")).select(
        "user_id",
        "movie_id",
        "rating",
        "score",
        to_stars("score").alias("predicted_stars"),
        "user_known",
        "movie_known",
    )


def evaluate_models(
    tuned: FactorModel,
    reference: FactorModel,
    predictions: DataFrame,
    train_ratings: DataFrame,
    test_ratings: DataFrame,
) -> list[dict[str, Any]]:
    """A row a model: its errors on the test ratings as `metrics` has them, and train_rmse and train_mae."""
    pairs = train_ratings.select("user_id", "movie_id", "rating")
    test = {"reference_als": predict_test(reference, test_ratings), "tuned_als": predictions}
    rows = []
    for name, model in {"reference_als": reference, "tuned_als": tuned}.items():
        train = rating_errors(score(model, pairs))
        rows.append(
            {
                "model": name,
                **rating_errors(test[name]),
                **cold_counts(test[name]),
                "train_rmse": train["rmse"],
                "train_mae": train["mae"],
            }
        )
    return rows


def count_errors(predictions: DataFrame) -> pd.DataFrame:
    """Test ratings by actual stars and by predicted stars rounded to halves.

    Returns:
        (rating, predicted_stars, rows, error_sum, squared_error_sum): an error is predicted less actual stars.
    """
    rounded = (F.round(F.col("predicted_stars") * 2) / 2).alias("predicted_stars")
    return (
        predictions.groupBy("rating", rounded)
        .agg(
            F.count("*").alias("rows"),
            F.sum(F.col("predicted_stars") - F.col("rating")).alias("error_sum"),
            F.sum((F.col("predicted_stars") - F.col("rating")) ** 2).alias("squared_error_sum"),
        )
        .orderBy("rating", "predicted_stars")
        .toPandas()
    )


def plot_predictions(error_counts: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """Predicted against actual stars."""
    return plots.predicted_against_actual(error_counts, data_summary)


def plot_errors(error_counts: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The error by actual stars."""
    return plots.error_by_rating(error_counts, data_summary)


def collect_metrics(
    data_summary: dict[str, Any],
    split: SplitParameters,
    split_counts: dict[str, int],
    models: list[dict[str, Any]],
    best_params: dict[str, Any],
) -> dict[str, Any]:
    """All that a run is judged by, in one place: data, split, and the models of each objective."""
    return {
        "dataset": data_summary,
        "split": {"strategy": "random", "seed": split.seed, **split_counts},
        "rating": {"models": models, "best_params": best_params},
    }


def count_split(train_ratings: DataFrame, test_ratings: DataFrame) -> dict[str, int]:
    """Rows of `train` and of `test`."""
    return {"train": train_ratings.count(), "test": test_ratings.count()}
