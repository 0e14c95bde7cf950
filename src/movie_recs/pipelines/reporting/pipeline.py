"""All results as one HTML page that needs no network, with an explorer of all users and movies."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.reporting.nodes import (
    build_explorer,
    explore_movies,
    explore_users,
    gather_figures,
    gather_lists,
    pack_models,
    render_report,
    select_movies,
    select_users,
    show_movies,
    show_new_users,
    show_users,
    write_model_card,
)

PARAMETERS = "params:reporting"
IDS = ["user_ids", "movie_ids"]
FIGURES = {  # dataset by name on the page
    "genres": "genres_plot",
    "distributions": "distributions_plot",
    "top_movies": "top_movies_plot",
    "tags": "tags_plot",
    "rating_tuning": "rating.cv_results_plot",
    "ranking_tuning": "ranking.cv_results_plot",
    "ladder": "rating.ladder_plot",
    "predictions": "rating.predictions_plot",
    "errors": "rating.errors_plot",
    "leaderboard": "ranking.leaderboard_plot",
}


def create_pipeline(has_ratings: bool = True) -> Pipeline:
    """Results of all other pipelines -> report.html and the model card.

    Args:
        has_ratings: False for events, which have no results of the objective `rating`.
    """
    figures = {name: figure for name, figure in FIGURES.items() if has_ratings or not figure.startswith("rating.")}
    return Pipeline(
        [
            *_explore(has_ratings),
            *_show_lists(),
            Node(gather_figures, figures, "report_figures", name="gather_figures"),
            Node(write_model_card, ["metrics", "run_facts"], "model_card", name="write_model_card"),
            Node(
                render_report,
                [
                    *("metrics", "eda_summary", "report_figures", "report_lists", "explorer", "your_list"),
                    *("run_facts", "model_card", "parameters"),
                ],
                "report_html",
                name="render_report",
            ),
        ],
        namespace="reporting",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )


def _explore(has_ratings: bool) -> list[Node]:
    """The lists of all users, the neighbours of all movies, and the models for a list of one's own."""
    ranking, rating = "ranking.factor_model", "rating.factor_model"
    return [
        Node(
            select_movies,
            ["movies", "ratings", "movie_ids", "data_summary", PARAMETERS],
            "explorer_movies",
            name="select_movies",
        ),
        Node(select_users, ["ratings", "user_ids", "data_summary", PARAMETERS], "explorer_users", name="select_users"),
        Node(
            explore_users,
            [
                *(ranking, "ratings", "explorer_users", "explorer_movies", "data_summary"),
                *([rating] if has_ratings else []),
            ],
            "explorer_lists",
            name="explore_users",
        ),
        Node(
            explore_movies,
            [rating if has_ratings else ranking, "explorer_movies", "params:recommend"],
            "explorer_neighbours",
            name="explore_movies",
        ),
        Node(
            build_explorer,
            ["explorer_movies", "explorer_users", "explorer_lists", "explorer_neighbours", "data_summary"],
            "explorer",
            name="build_explorer",
        ),
        Node(
            pack_models,
            [
                *(ranking, "explorer_movies", "data_summary", PARAMETERS, "params:recommend"),
                *([rating] if has_ratings else []),
            ],
            "your_list",
            name="pack_models",
        ),
    ]


def _show_lists() -> list[Node]:
    """The requested lists, with details of their users and movies."""
    return [
        Node(
            show_users,
            ["recommendations", "ratings", "movies", *IDS, "data_summary", PARAMETERS],
            "shown_users",
            name="show_users",
        ),
        Node(
            show_new_users,
            ["new_user_recommendations", "movies", "movie_ids", PARAMETERS],
            "shown_new_users",
            name="show_new_users",
        ),
        Node(
            show_movies,
            ["similar_movies", "movies", "movie_ids", PARAMETERS],
            "shown_movies",
            name="show_movies",
        ),
        Node(
            gather_lists,
            ["shown_users", "shown_new_users", "shown_movies", "unknown_ids"],
            "report_lists",
            name="gather_lists",
        ),
    ]
