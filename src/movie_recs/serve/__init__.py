"""The web service over saved models: lists for anyone's ratings, without Spark."""
