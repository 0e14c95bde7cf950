"""Kedro's configuration and hooks, Spark's session, Java, and the console."""
