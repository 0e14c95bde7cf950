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


def create_pipeline(has_ratings: bool = True, reranks: bool = False) -> Pipeline:
    """The objectives' models of all ratings, ratings and movies -> lists, as Parquet and as CSV.

    Args:
        has_ratings: False for events, whose lists have no predicted stars.
        reranks: Whether users' lists have a second stage; a group's and those of similar movies have none.
    """
    ranking, rating = "ranking.factor_model", ["rating.factor_model"] if has_ratings else []
    similar = "rating" if has_ratings else "ranking"
    data = ["ratings", "movies"]
    listed = {
        **{"ranking_model": ranking, "parameters": PARAMETERS},
        **{name: name for name in (*data, "movie_ids", "data_summary")},
        **({"rating_model": rating[0]} if has_ratings else {}),
        **({"reranker": "ranking.reranker", "best_params": "ranking.best_params"} if reranks else {}),
    }
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
                {**listed, "user_ids": "user_ids"},
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
                {**listed, **{name: name for name in ("new_user_ratings", "matched_ratings")}},
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
