"""Runs in MLflow, where the extra `movie_recs[mlflow]` is installed: nothing else imports this package."""
