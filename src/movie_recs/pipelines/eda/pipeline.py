"""Clean tables to counts, lists and figures."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.eda.nodes import (
    count_distributions,
    plot_distributions,
    plot_genres,
    plot_tags,
    plot_top_movies,
    rank_movies,
    rank_tags,
    summarise,
)


def create_pipeline() -> Pipeline:
    """ratings, movies, tags, data_summary -> tables and figures of the data."""
    return Pipeline(
        [
            Node(summarise, ["ratings", "movies", "data_summary"], "eda_summary", name="summarise"),
            Node(count_distributions, ["ratings", "data_summary"], "distributions", name="count_distributions"),
            Node(
                rank_movies,
                ["ratings", "movies", "movie_ids", "data_summary", "params:eda"],
                "top_movies",
                name="rank_movies",
            ),
            Node(rank_tags, ["tags", "params:eda"], "top_tags", name="rank_tags"),
            Node(plot_genres, ["eda_summary", "data_summary"], "genres_plot", name="plot_genres"),
            Node(
                plot_distributions, ["distributions", "data_summary"], "distributions_plot", name="plot_distributions"
            ),
            Node(plot_top_movies, ["top_movies", "data_summary"], "top_movies_plot", name="plot_top_movies"),
            Node(plot_tags, ["top_tags", "data_summary"], "tags_plot", name="plot_tags"),
        ],
        namespace="eda",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
