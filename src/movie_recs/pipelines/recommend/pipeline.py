"""Recommendations and similar movies from the saved models; nothing is fitted here."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.recommend.group_nodes import recommend_to_group
from movie_recs.pipelines.recommend.nodes import (
    find_similar_movies,
    find_unknown_ids,
    match_new_ratings,
    recommend_movies,
    recommend_to_new_users,
    tabulate,
)

PARAMETERS = "params:recommend"
IDS = ["user_ids", "movie_ids"]


def create_pipeline(has_ratings: bool = True) -> Pipeline:
    """The objectives' models of all ratings, ratings and movies -> lists, as Parquet and as CSV.

    Args:
        has_ratings: False for events, whose lists have no predicted stars.
    """
    ranking, rating = "ranking.factor_model", ["rating.factor_model"] if has_ratings else []
    similar = "rating" if has_ratings else "ranking"
    data = ["ratings", "movies"]
    tables = ["recommendations", "new_user_recommendations", "group_recommendations", "similar_movies"]
    return Pipeline(
        [
            Node(
                find_unknown_ids,
                [ranking, f"{similar}.factor_model", *IDS, PARAMETERS],
                "unknown_ids",
                name="find_unknown_ids",
            ),
            Node(
                recommend_movies,
                [ranking, *data, *IDS, "data_summary", PARAMETERS, *rating],
                "recommendations",
                name="recommend_movies",
            ),
            Node(
                match_new_ratings,
                ["new_user_ratings", "movies", "movie_ids", "data_summary", PARAMETERS],
                ["matched_ratings", "unmatched_ratings"],
                name="match_new_ratings",
            ),
            Node(
                recommend_to_new_users,
                [
                    *(ranking, *data, "movie_ids", "new_user_ratings", "matched_ratings", "data_summary", PARAMETERS),
                    *rating,
                ],
                "new_user_recommendations",
                name="recommend_to_new_users",
            ),
            Node(
                recommend_to_group,
                [ranking, *data, *IDS, "new_user_ratings", "matched_ratings", "data_summary", PARAMETERS, *rating],
                "group_recommendations",
                name="recommend_to_group",
            ),
            Node(
                find_similar_movies,
                [f"{similar}.factor_model", f"{similar}.als_model", "movies", "movie_ids", PARAMETERS],
                "similar_movies",
                name="find_similar_movies",
            ),
            *(Node(tabulate, table, f"{table}_csv", name=f"tabulate_{table}") for table in tables),
        ],
        namespace="recommend",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
