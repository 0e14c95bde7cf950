"""Ratings and movies: raw files, cleaning, the split, and the tables' schemas."""
