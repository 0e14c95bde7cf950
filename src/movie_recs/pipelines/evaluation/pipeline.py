"""The winner and what leads up to it on the test ratings, and metrics.json."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.evaluation.nodes import (
    collect_metrics,
    count_errors,
    count_split,
    evaluate_models,
    fit_bias_als,
    fit_reference,
    plot_errors,
    plot_ladder,
    plot_predictions,
    predict_test,
    tabulate_ladder,
)


def create_pipeline(objective: str) -> Pipeline:
    """The objective's model of the train ratings, and the test ratings -> predictions, figures and metrics."""
    parameters = f"params:{objective}"
    models = ["train_factor_model", "bias_als_model", "reference_model"]
    nodes = [
        Node(fit_reference, ["train_ratings", parameters], "reference_model", name="fit_reference"),
        Node(
            fit_bias_als,
            ["train_ratings", "movies", "cv_results", parameters],
            "bias_als_model",
            name="fit_bias_als",
        ),
        Node(predict_test, [*models, "train_ratings", "test_ratings"], "predictions", name="predict_test"),
        Node(evaluate_models, [*models, "train_ratings", "predictions"], "model_errors", name="evaluate_models"),
        Node(tabulate_ladder, "predictions", "ladder", name="tabulate_ladder"),
        Node(plot_ladder, ["model_errors", "ladder", "data_summary"], "ladder_plot", name="plot_ladder"),
        Node(count_errors, "predictions", "error_counts", name="count_errors"),
        Node(plot_predictions, ["error_counts", "data_summary"], "predictions_plot", name="plot_predictions"),
        Node(plot_errors, ["error_counts", "data_summary"], "errors_plot", name="plot_errors"),
    ]
    measured = Pipeline(
        Pipeline(nodes, namespace="evaluation", prefix_datasets_with_namespace=False),  # a box within the objective's
        namespace=objective,
        inputs={"train_ratings", "test_ratings", "movies", "data_summary"},
        parameters={parameters},
        prefix_datasets_with_namespace=True,
    )
    collected = Pipeline(
        [
            Node(count_split, ["train_ratings", "test_ratings"], "split_counts", name="count_split"),
            Node(
                collect_metrics,
                [
                    "data_summary",
                    "params:split",
                    "split_counts",
                    f"{objective}.model_errors",
                    f"{objective}.best_params",
                ],
                "metrics",
                name="collect_metrics",
            ),
        ],
        namespace="metrics",
        prefix_datasets_with_namespace=False,
    )
    return measured + collected
