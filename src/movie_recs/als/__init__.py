"""Alternating least squares: Spark ML's, and compiled loops with the same objective."""
