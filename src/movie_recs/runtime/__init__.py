"""What touches Kedro, Spark's session and Java: configuration, hooks, the console."""
