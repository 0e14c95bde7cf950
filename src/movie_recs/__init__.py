"""A movie recommender: Kedro pipelines over Spark ALS."""
