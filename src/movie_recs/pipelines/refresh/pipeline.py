"""New ratings since the last run -> refreshed users, movies and ratings, and lists of the users that they concern."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.refresh.nodes import (
    describe_refresh,
    find_new_rows,
    recommend_again,
    refresh_model,
    save_movies,
    save_ratings,
)

PARAMETERS = "params:refresh"
RAW = ["plain_ratings", "plain_movies", "plain_links"]
KNOWN = ["known.ratings", "known.movies", "known.user_ids", "known.movie_ids", "known.set_aside"]


def create_pipeline(has_ratings: bool = True) -> Pipeline:
    """Raw tables, what an earlier run has saved, and its models -> the same, refreshed. No Spark is started.

    Args:
        has_ratings: False for events, which have no rating model.
    """
    objectives = ("ranking", "rating") if has_ratings else ("ranking",)
    since_fit = [f"{objective}.since_fit" for objective in objectives]
    return Pipeline(
        [
            Node(find_new_rows, [*RAW, *KNOWN, "source_profile", PARAMETERS], "new_rows", name="find_new_rows"),
            Node(
                save_movies,
                "new_rows",
                ["refreshed.movies", "refreshed.user_ids", "refreshed.movie_ids"],
                name="save_movies",
            ),
            *(
                Node(
                    refresh_model,
                    [f"known.{objective}_model", "new_rows", "refreshed.movies"],
                    [f"refreshed.{objective}_model", f"{objective}.since_fit"],
                    name=f"refresh_{objective}_model",
                )
                for objective in objectives
            ),
            Node(save_ratings, ["new_rows", *since_fit], ["refreshed.ratings", "rating_count"], name="save_ratings"),
            Node(
                describe_refresh,
                ["new_rows", "rating_count", "known.data_summary", PARAMETERS, *since_fit],
                ["refreshed.data_summary", "refresh_summary"],
                name="describe_refresh",
            ),
            Node(
                recommend_again,
                ["snapshot", "new_rows", "refresh_summary", "known.recommendations", "params:recommend"],
                ["refreshed.recommendations", "refreshed.recommendations_csv"],
                name="recommend_again",
            ),
        ],
        namespace="refresh",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
