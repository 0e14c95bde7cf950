"""Raw CSV files to clean tables, and the split that every model shares."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.data_processing.nodes import (
    clean_movies,
    clean_ratings,
    clean_tags,
    describe_data,
    gather_set_aside,
    parse_links,
    parse_movies,
    parse_ratings,
    parse_tags,
    split_ratings,
)

PARAMETERS = "params:data_processing"


def create_pipeline() -> Pipeline:
    """raw_ratings, raw_movies, raw_tags, raw_links, raw_files -> clean tables, set-aside rows, train and test."""
    return Pipeline(
        [
            Node(parse_movies, "raw_movies", "parsed_movies", name="parse_movies"),
            Node(parse_links, ["raw_links", "parsed_movies"], "parsed_links", name="parse_links"),
            Node(parse_ratings, ["raw_ratings", "parsed_movies"], "parsed_ratings", name="parse_ratings"),
            Node(parse_tags, ["raw_tags", "parsed_movies"], "parsed_tags", name="parse_tags"),
            Node(
                clean_movies,
                ["parsed_movies", "parsed_links", PARAMETERS],
                ["movies", "movies_set_aside", "links_set_aside"],
                name="clean_movies",
            ),
            Node(
                clean_ratings,
                ["parsed_ratings", PARAMETERS],
                ["ratings", "ratings_set_aside"],
                name="clean_ratings",
            ),
            Node(clean_tags, ["parsed_tags", PARAMETERS], ["tags", "tags_set_aside"], name="clean_tags"),
            Node(
                gather_set_aside,
                ["movies_set_aside", "links_set_aside", "ratings_set_aside", "tags_set_aside"],
                "set_aside",
                name="gather_set_aside",
            ),
            Node(describe_data, ["raw_files", "ratings", "movies", "set_aside"], "data_summary", name="describe_data"),
            Node(
                split_ratings,
                ["ratings", "params:split"],
                ["train_ratings", "test_ratings", "fold_in_ratings"],
                name="split_ratings",
            ),
        ],
        namespace="data_processing",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
