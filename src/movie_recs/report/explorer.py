"""Data of the page's explorer: every user's list and every movie's neighbours in few bytes; and a user's history.

Each title is stored once; lists refer to movies by their position in that table: small integers, in base64.
"""

import base64
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from movie_recs.data.scale import Scale

FAVOURITES = 5  # movies and genres in a history
DAMPING = 5  # ratings at the user's mean added to those of a genre, so that one 5.0 makes no favourite genre
STAR_PARTS = 10  # predicted stars in tenths
DISTANCE_PARTS = 1000  # distances in thousandths


def index_explorer(
    movies: pd.DataFrame,
    users: pd.DataFrame,
    lists: pd.DataFrame,
    neighbours: pd.DataFrame,
    data: dict[str, Any],
) -> dict[str, Any]:
    """The tables that explorer.js reads.

    Args:
        movies: (movie_id, original: its id as the data has it, title, year, genres, imdb_id, tmdb_id, ratings,
            mean_rating), by movie_id; fewer than 65,535.
        users: (user_id, original, ratings, mean_rating), by user_id.
        lists: (user_id, rank, movie_id, predicted_stars), of these users and movies.
        neighbours: (movie_id, rank, similar_movie_id, distance), of these movies.
        data: Summary of the data set, with the numbers of all `users` and `movies`.

    Returns:
        `movies` and `users` by column, ids ascending. `lists` and `neighbours`: `length`, and matrices of `length`
        columns as base64 of little-endian uint16, row by row: positions of movies from 1 (0: none), stars in tenths,
        distances in thousandths. `genres`: their names, to which movies refer by position. `all`: the numbers of users
        and movies in the data. `scale`: that of the ratings; None for events, which have neither means nor stars.
    """
    genres = sorted({genre for row in movies["genres"] for genre in row})
    number = {genre: place for place, genre in enumerate(genres)}
    return {
        "all": {"users": data["users"], "movies": data["movies"]},
        "scale": data["scale"],
        "genres": genres,
        "movies": {
            "ids": _plain(movies["original"]),
            "titles": _plain(movies["title"]),
            "years": _plain(movies["year"]),
            "genres": [[number[genre] for genre in row] for row in movies["genres"]],
            "imdb": _plain(movies["imdb_id"]),
            "tmdb": _plain(movies["tmdb_id"]),
            "ratings": _plain(movies["ratings"]),
            "means": _plain(movies["mean_rating"].round(2)),
        },
        "users": {
            "ids": _plain(users["original"]),
            "ratings": _plain(users["ratings"]),
            "means": _plain(users["mean_rating"].round(2)),
        },
        "lists": _matrices(
            lists,
            users["user_id"],
            movies=_places(movies, lists["movie_id"]),
            stars=_stars(lists["predicted_stars"], data["scale"]),
        ),
        "neighbours": _matrices(
            neighbours,
            movies["movie_id"],
            movies=_places(movies, neighbours["similar_movie_id"]),
            distances=neighbours["distance"] * DISTANCE_PARTS,
        ),
    }


def describe_history(ratings: list[dict[str, Any]], scale: Scale | None) -> dict[str, Any]:
    """Summary of a user's ratings; of events neither a mean nor stars, and the genres with the most.

        lift of a genre = (sum of its ratings - its number of ratings * her mean) / (its number of ratings + DAMPING)

    Args:
        ratings: {movie_id, title, year, genres, rating, rated_in: year or None}, one dict per rating.
        scale: The scale of the ratings; None for events.

    Returns:
        ratings: their number; mean_rating; first_year, last_year of the ratings or None; genres: {genre, ratings,
        mean_rating} with the highest positive lifts; movies: {movie_id, title, year, rating} with the most stars, ties
        by the latest year of rating, then by movie_id.
    """
    if not ratings:
        return {"ratings": 0, "mean_rating": None, "first_year": None, "last_year": None, "genres": [], "movies": []}
    mean = sum(row["rating"] for row in ratings) / len(ratings)
    years = [row["rated_in"] for row in ratings if row["rated_in"] is not None]
    by_genre: dict[str, list[float]] = defaultdict(list)
    for row in ratings:
        for genre in row["genres"] or ():
            by_genre[genre].append(row["rating"])
    lifts = {genre: (sum(stars) - len(stars) * mean) / (len(stars) + DAMPING) for genre, stars in by_genre.items()}
    if scale is None:
        lifts = {genre: float(len(stars)) for genre, stars in by_genre.items()}
    liked = sorted((genre for genre in lifts if lifts[genre] > 0), key=lambda genre: (-lifts[genre], genre))
    best = sorted(ratings, key=lambda row: (-row["rating"], -(row["rated_in"] or 0), row["movie_id"]))
    return {
        "ratings": len(ratings),
        "mean_rating": mean if scale else None,
        "first_year": min(years, default=None),
        "last_year": max(years, default=None),
        "genres": [
            {
                "genre": genre,
                "ratings": len(by_genre[genre]),
                "mean_rating": float(np.mean(by_genre[genre])) if scale else None,
            }
            for genre in liked[:FAVOURITES]
        ],
        "movies": [
            {**{name: row[name] for name in ("movie_id", "title", "year")}, "rating": row["rating"] if scale else None}
            for row in best[:FAVOURITES]
        ],
    }


def _stars(stars: pd.Series, scale: dict[str, Any] | None) -> pd.Series:
    """In tenths, of a scale that begins below 0 above its least."""
    return stars.fillna(0) if scale is None else (stars - min(scale["least"], 0)) * STAR_PARTS


def _places(movies: pd.DataFrame, movie_ids: pd.Series) -> np.ndarray:
    return np.searchsorted(movies["movie_id"], movie_ids) + 1


def _matrices(table: pd.DataFrame, owners: pd.Series, **columns: np.ndarray | pd.Series) -> dict[str, Any]:
    """Columns of lists as matrices: one row per owner, in the owners' order, and one column per rank; 0 where none.

    Args:
        table: (the ids of the owners, rank), one row per value.
        owners: The ids of all owners, ascending; named like their column in the table.
        columns: Values by name, in the table's order.
    """
    length = int(table["rank"].max()) if len(table) else 0
    cells = np.searchsorted(owners, table[owners.name]), table["rank"].to_numpy() - 1
    packed: dict[str, Any] = {"length": length}
    for name, values in columns.items():
        matrix = np.zeros((len(owners), length), dtype="<u2")
        matrix[cells] = values.round().clip(0, np.iinfo(np.uint16).max)
        packed[name] = base64.b64encode(matrix.tobytes()).decode("ascii")
    return packed


def _plain(column: pd.Series) -> list[Any]:
    """The values as Python objects, None where missing."""
    return [None if is_missing else value for value, is_missing in zip(column.tolist(), column.isna(), strict=True)]
