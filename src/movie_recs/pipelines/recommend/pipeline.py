"""Recommendations and similar movies from the saved models; nothing is fitted here."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.recommend.nodes import (
    find_similar_movies,
    find_unknown_ids,
    recommend_movies,
    recommend_to_new_users,
    tabulate,
)

PARAMETERS = "params:recommend"


def create_pipeline() -> Pipeline:
    """Both objectives' models of all ratings, ratings and movies -> lists, as Parquet and as CSV."""
    ranking, rating = "ranking.factor_model", "rating.factor_model"
    tables = ["recommendations", "new_user_recommendations", "similar_movies"]
    return Pipeline(
        [
            Node(find_unknown_ids, [ranking, rating, PARAMETERS], "unknown_ids", name="find_unknown_ids"),
            Node(
                recommend_movies,
                [ranking, rating, "ratings", "movies", PARAMETERS],
                "recommendations",
                name="recommend_movies",
            ),
            Node(
                recommend_to_new_users,
                [ranking, rating, "ratings", "movies", "new_user_ratings", PARAMETERS],
                "new_user_recommendations",
                name="recommend_to_new_users",
            ),
            Node(
                find_similar_movies,
                [rating, "rating.als_model", "movies", PARAMETERS],
                "similar_movies",
                name="find_similar_movies",
            ),
            *(Node(tabulate, table, f"{table}_csv", name=f"tabulate_{table}") for table in tables),
        ],
        namespace="recommend",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
