"""Raw files to clean tables, and the split that every model shares."""

from kedro.pipeline import Node, Pipeline

from movie_recs.pipelines.data_processing.nodes import (
    clean_movies,
    clean_ratings,
    clean_tags,
    describe_data,
    gather_set_aside,
    number_ids,
    parse_links,
    parse_movies,
    parse_ratings,
    parse_tags,
    profile_source,
    split_ratings,
)

PARAMETERS = "params:data_processing"
IDS = ["user_ids", "movie_ids"]
READING = ["source", "source_profile", *IDS]


def create_pipeline() -> Pipeline:
    """The raw tables and what is said of them -> clean tables, set-aside rows, train and test."""
    return Pipeline(
        [
            Node(profile_source, ["raw_ratings", "source", PARAMETERS], "source_profile", name="profile_source"),
            Node(
                number_ids,
                ["raw_ratings", "raw_movies", "raw_tags", "source", "source_profile"],
                IDS,
                name="number_ids",
            ),
            Node(parse_movies, ["raw_movies", *READING], "parsed_movies", name="parse_movies"),
            *(
                Node(parse, [f"raw_{table}", "parsed_movies", *READING], f"parsed_{table}", name=f"parse_{table}")
                for table, parse in (("links", parse_links), ("ratings", parse_ratings), ("tags", parse_tags))
            ),
            Node(
                clean_movies,
                ["parsed_movies", "parsed_links", "parsed_ratings", "movie_ids", "source", PARAMETERS],
                ["movies", "movies_set_aside", "links_set_aside"],
                name="clean_movies",
            ),
            Node(
                clean_ratings,
                ["parsed_ratings", "source", PARAMETERS],
                ["ratings", "ratings_set_aside"],
                name="clean_ratings",
            ),
            Node(clean_tags, ["parsed_tags", "source", PARAMETERS], ["tags", "tags_set_aside"], name="clean_tags"),
            Node(
                gather_set_aside,
                ["movies_set_aside", "links_set_aside", "ratings_set_aside", "tags_set_aside"],
                "set_aside",
                name="gather_set_aside",
            ),
            Node(
                describe_data,
                [
                    *("raw_files", "ratings", "movies", "set_aside"),
                    *("parsed_movies", "parsed_links", "source", "source_profile"),
                ],
                "data_summary",
                name="describe_data",
            ),
            Node(
                split_ratings,
                ["ratings", "raw_test", *READING, "params:split"],
                ["train_ratings", "test_ratings", "fold_in_ratings"],
                name="split_ratings",
            ),
        ],
        namespace="data_processing",  # one box in kedro-viz
        prefix_datasets_with_namespace=False,
    )
