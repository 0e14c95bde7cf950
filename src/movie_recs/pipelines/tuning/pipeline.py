"""Cross-validation, the choice of a winner, and its two fits: on train ratings to be measured, on all to be used."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.tuning import ranking_nodes, rating_nodes
from movie_recs.pipelines.tuning.rerank_nodes import fit_second_stage

CARRIER = "params:carrier"
STEPS = {"rating": rating_nodes, "ranking": ranking_nodes}


def create_pipeline(objective: str, has_ratings: bool = True, reranks: bool = False) -> Pipeline:
    """train_ratings, ratings, movies -> cv_results, best_params and two models, in the namespace of the objective.

    Args:
        objective: `rating`, or `ranking`, which uses the best rating model.
        has_ratings: False for events, which have no rating model.
        reranks: Whether the lists of `ranking` have a second stage.
    """
    parameters, steps, data = f"params:{objective}", STEPS[objective], ["movies", "data_summary"]
    best_rating, train_stars, stars = [], [], []
    if objective == "ranking" and has_ratings:
        best_rating = ["rating.best_params", "params:rating"]
        train_stars, stars = ["rating.train_factor_model"], ["rating.factor_model"]
    nodes = [
        Node(
            steps.cross_validate_candidates,
            ["train_ratings", *data, "finished_trials", parameters, "params:split", CARRIER, *best_rating],
            "cv_results",
            name="cross_validate_candidates",
        ),
        Node(steps.choose_best, ["cv_results", parameters], "best_params", name="choose_best"),
        Node(steps.plot_tuning, ["cv_results", "data_summary"], "cv_results_plot", name="plot_tuning"),
        Node(
            steps.fit_best,
            ["train_ratings", *data, "best_params", parameters, CARRIER, *train_stars],
            ["train_als_model", "train_factor_model"],
            name="fit_on_train",
        ),
        Node(
            steps.fit_best,
            ["ratings", *data, "best_params", parameters, CARRIER, *stars],
            ["als_model", "factor_model"],
            name="fit_on_all",
        ),
    ]
    if objective == "ranking" and reranks:
        inputs = ["train_ratings", *data, "best_params", parameters, "params:split", CARRIER, *best_rating]
        nodes.append(Node(fit_second_stage, inputs, "reranker", name="fit_second_stage"))
    return Pipeline(
        Pipeline(nodes, namespace="tuning", prefix_datasets_with_namespace=False),  # a box within the objective's
        namespace=objective,
        inputs={"train_ratings", "ratings", "movies", "data_summary", *best_rating[:1], *train_stars, *stars},
        parameters={parameters, "params:split", CARRIER, *best_rating[1:]},
        prefix_datasets_with_namespace=True,
    )
