"""Recommendations and similar movies from the saved model; nothing is fitted here."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.recommend.nodes import (
    find_similar_movies,
    find_unknown_ids,
    recommend_movies,
    tabulate,
)

PARAMETERS = "params:recommend"


def create_pipeline(objective: str) -> Pipeline:
    """The objective's model of all ratings, ratings and movies -> lists, as Parquet and as CSV."""
    model = f"{objective}.factor_model"
    return Pipeline(
        [
            Node(find_unknown_ids, [model, PARAMETERS], "unknown_ids", name="find_unknown_ids"),
            Node(
                recommend_movies,
                [model, "ratings", "movies", PARAMETERS],
                "recommendations",
                name="recommend_movies",
            ),
            Node(find_similar_movies, [model, "movies", PARAMETERS], "similar_movies", name="find_similar_movies"),
            Node(tabulate, "recommendations", "recommendations_csv", name="tabulate_recommendations"),
            Node(tabulate, "similar_movies", "similar_movies_csv", name="tabulate_similar_movies"),
        ],
        namespace="recommend",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
