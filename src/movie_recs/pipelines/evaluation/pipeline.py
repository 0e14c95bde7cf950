"""The winners and the models that they are compared with on the test ratings, and metrics.json."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.evaluation import ranking_nodes, rating_nodes
from movie_recs.pipelines.evaluation.ranking_nodes import list_movies, measure_lists, plot_leaderboard
from movie_recs.pipelines.evaluation.rating_nodes import (
    collect_metrics,
    count_errors,
    count_split,
    evaluate_models,
    fit_reference,
    fit_rivals,
    plot_errors,
    plot_ladder,
    plot_predictions,
    predict_test,
    tabulate_ladder,
)

CARRIER = "params:carrier"
RATINGS = ("train_ratings", "test_ratings", "fold_in_ratings")
IDS = ("user_ids", "movie_ids")


def create_pipeline(has_ratings: bool = True, reranks: bool = False) -> Pipeline:
    """The objectives' models of the train ratings, and the test ratings -> predictions, lists, figures and metrics.

    Args:
        has_ratings: False for events, which the objective `ranking` alone can use.
        reranks: Whether lists have a second stage.
    """
    rating = _measure_rating() if has_ratings else Pipeline([])
    return rating + _measure_ranking(has_ratings, reranks) + _collect(has_ratings)


def _measure_rating() -> Pipeline:
    parameters = "params:rating"
    rivals = ["plain_als_model", "bias_als_model", "taste_als_model", "bayes_model"]
    models = ["reference_model", *rivals]
    nodes = [
        Node(fit_reference, ["train_ratings", parameters], "reference_model", name="fit_reference"),
        Node(
            fit_rivals,
            [
                *("train_ratings", "movies", "data_summary", "cv_results", "best_params", "train_factor_model"),
                *(parameters, CARRIER),
            ],
            rivals,
            name="fit_rivals",
        ),
        Node(
            predict_test,
            [*models, "best_params", *RATINGS, *IDS, "data_summary"],
            "predictions",
            name="predict_test",
        ),
        Node(
            evaluate_models,
            [*models, "train_ratings", "predictions", "data_summary"],
            ["model_errors", "comparisons"],
            name="evaluate_models",
        ),
        Node(
            rating_nodes.measure_groups,
            ["predictions", "movies", "movie_ids", "data_summary"],
            "groups",
            name="measure_groups",
        ),
        Node(tabulate_ladder, ["predictions", "data_summary"], "ladder", name="tabulate_ladder"),
        Node(plot_ladder, ["model_errors", "ladder", "data_summary"], "ladder_plot", name="plot_ladder"),
        Node(count_errors, ["predictions", "data_summary"], "error_counts", name="count_errors"),
        Node(plot_predictions, ["error_counts", "data_summary"], "predictions_plot", name="plot_predictions"),
        Node(plot_errors, ["error_counts", "data_summary"], "errors_plot", name="plot_errors"),
    ]
    return _instantiate("rating", nodes, {*RATINGS, *IDS, "movies", "data_summary"})


def _measure_ranking(has_ratings: bool, reranks: bool) -> Pipeline:
    parameters = "params:ranking"
    ratings = [*RATINGS, "movies", *IDS]
    by_stars = ["rating.train_factor_model"] if has_ratings else []
    listed = {
        **{name: name for name in (*ratings, "data_summary", "cv_results")},
        **{"als_model": "train_als_model", "factor_model": "train_factor_model"},
        **{"parameters": parameters, "carrier": CARRIER},
        **({"rating_model": by_stars[0]} if has_ratings else {}),
        **({"reranker": "reranker"} if reranks else {}),
    }
    nodes = [
        Node(list_movies, listed, "lists", name="list_movies"),
        Node(
            measure_lists,
            ["lists", *ratings, "data_summary", parameters],
            ["leaderboard", "comparisons"],
            name="measure_lists",
        ),
        Node(
            ranking_nodes.measure_groups,
            ["lists", "best_params", *ratings, "data_summary", parameters],
            "groups",
            name="measure_groups",
        ),
        Node(plot_leaderboard, ["leaderboard", "data_summary"], "leaderboard_plot", name="plot_leaderboard"),
    ]
    return _instantiate("ranking", nodes, {*ratings, *by_stars, "data_summary"})


def _instantiate(objective: str, nodes: list[Node], inputs: set[str]) -> Pipeline:
    """The nodes in the objective's namespace, as a box of their own within it."""
    return Pipeline(
        Pipeline(nodes, namespace="evaluation", prefix_datasets_with_namespace=False),
        namespace=objective,
        inputs=inputs,
        parameters={f"params:{objective}", CARRIER},
        prefix_datasets_with_namespace=True,
    )


def _collect(has_ratings: bool) -> Pipeline:
    results = ["ranking.leaderboard", "ranking.comparisons", "ranking.best_params", "ranking.groups"]
    if has_ratings:
        results += ["rating.model_errors", "rating.comparisons", "rating.best_params", "rating.groups"]
    return Pipeline(
        [
            Node(count_split, [*RATINGS], "split_counts", name="count_split"),
            Node(
                collect_metrics,
                ["data_summary", "params:split", "split_counts", *results],
                "metrics",
                name="collect_metrics",
            ),
        ],
        namespace="metrics",
        prefix_datasets_with_namespace=False,
    )
