"""Users from their ratings, the movies' side of a model being fixed: each part of a vector is a ridge regression.

With X the rated movies' features of a part (a column of ones first where the part has the user's bias), y what the
intercept, the movies' biases and the parts before it leave of her ratings, and C the diagonal of `Ridge`'s pulls,

    p_u = M y,    M = (X^T X + C)^-1 X^T

which is the user step of ALS-WR (Zhou, Wilkinson, Schreiber & Pan 2008, section 3.1) for factors, and a ridge
regression (Hoerl & Kennard 1970) for tastes and biases. So a user whom no fit has seen gets a vector at once, and every
score is a sum over the user's own ratings.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame

from movie_recs.model.factor_model import FactorModel, Ridge, arrays

LEAST_PULL = 1e-9  # a ridge without any is singular for a user with few ratings


class UserRows(NamedTuple):
    """Rows of whole users, user after user: `columns` by name, and the user `ids` whose rows begin at `starts`."""

    columns: dict[str, np.ndarray]
    ids: np.ndarray
    starts: np.ndarray  # and the number of rows at the end

    def slices(self) -> Iterator[slice]:
        """The rows of each user."""
        return map(slice, self.starts[:-1].tolist(), self.starts[1:].tolist())


def read_users(batches: Iterator[pa.RecordBatch]) -> UserRows | None:
    """A partition that is sorted by user_id; None if it is empty."""
    parts = [batch for batch in batches if batch.num_rows]
    if not parts:
        return None
    table = pa.Table.from_batches(parts)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    ids, starts = np.unique(columns["user_id"], return_index=True)
    return UserRows(columns, ids, np.append(starts, table.num_rows))


def solve_ridge(features: np.ndarray, targets: np.ndarray, pulls: np.ndarray) -> np.ndarray:
    """The weights (c, k) of c ridge regressions on the same rows.

    Args:
        features: X, (n, k).
        targets: A column y a regression, (n, c).
        pulls: The diagonal of C of each regression, (c, k).
    """
    gram = features.T @ features + pulls[:, :, None] * np.eye(features.shape[1])
    return np.linalg.solve(gram, (features.T @ targets).T[:, :, None])[:, :, 0]


def pulls_of(ridge: Ridge, ratings: int = 1) -> np.ndarray:
    """The diagonal of C for a user with so many ratings."""
    bias = [] if ridge.bias_damping is None else [ridge.bias_damping]
    pulls = np.maximum([*bias, *[ridge.reg_param] * ridge.size], LEAST_PULL)
    return pulls * max(ratings, 1) if ridge.per_rating else pulls


def fold_in(model: FactorModel, ratings: DataFrame) -> DataFrame:
    """The users' side for whoever gave these ratings, known to the model or new.

    Args:
        model: Its movies and `ridges` are used, its users are not.
        ratings: (user_id int, movie_id int, rating float), all ratings of these users, each pair once. Those of movies
            that the model does not know say nothing.

    Returns:
        (id int, bias float, features array<float>), a row a user: `model._replace(users=...)` scores and recommends
        for them. A user none of whose movies is known has zeros, which is what the pull of every ridge is towards.
    """
    intercept, ridges = model.intercept, model.ridges
    shared = ratings.sparkSession.sparkContext.broadcast(arrays(model.items))

    def solve(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        users, items = read_users(batches), shared.value
        if users is None:
            return
        item_rows = items.rows_of(users.columns["movie_id"])
        targets = users.columns["rating"] - intercept - items.bias[item_rows]
        vectors = []
        for rows in users.slices():
            known = item_rows[rows] < len(items.ids)
            vectors.append(_user_vector(items.features[item_rows[rows][known]], targets[rows][known], ridges))
        bias, features = (np.array(part, np.float32) for part in zip(*vectors, strict=True))
        yield pa.RecordBatch.from_arrays(
            [pa.array(users.ids), pa.array(bias), pa.array(list(features), pa.list_(pa.float32()))],
            ["id", "bias", "features"],
        )

    by_user = ratings.select("user_id", "movie_id", "rating").repartition("user_id")
    ordered = by_user.sortWithinPartitions("user_id", "movie_id")
    return ordered.mapInArrow(solve, "id int, bias float, features array<float>")


def explain(model: FactorModel, recommendations: DataFrame, ratings: DataFrame, reasons: int) -> DataFrame:
    """The user's own high ratings that add most to each recommendation's score.

    A score is linear in the user's ratings: with M, X of the module's first lines, X_i the movie's own features and
    parts a, b, ...,

        score(u, i) - mu - b_i = (X_i,a M_a + X_i,b M_b (I - X_a M_a) + ...) y

    a sum over her rated movies j (Hu, Koren & Volinsky 2008, section 5, for a model of one part). The terms are
    compared with y_j less its mean over the user, so that a rating she gives to everything is no reason. Only ratings
    above the mean of those of known movies are named, and only of movies whose praise raises the score: a dislike may
    raise it as well, but "because you gave it half a star" is no reason to a person.

    Args:
        model: The model whose scores are explained.
        recommendations: (user_id int, movie_id int).
        ratings: (user_id int, movie_id int, rating float in stars), all of these users' ratings.
        reasons: How many ratings to name at most; only those that add something.

    Returns:
        (user_id int, movie_id int, because_movie_ids array<int>), the strongest reason first.
    """
    ridges = model.ridges
    shared = ratings.sparkSession.sparkContext.broadcast(arrays(model.items))

    def contributions(asked: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
        items = shared.value
        asked = asked[["user_id", "movie_id"]]
        rated = rated[np.isin(rated["movie_id"], items.ids)].sort_values("movie_id")
        if rated.empty:
            return asked.assign(because_movie_ids=[[] for _ in range(len(asked))])
        movie_ids = rated["movie_id"].to_numpy()
        rated_rows = items.rows_of(movie_ids)
        stars = rated["rating"].to_numpy(float)
        targets = stars - items.bias[rated_rows]
        asked_features = items.features[items.rows_of(asked["movie_id"].to_numpy())]
        influence = _influence(items.features[rated_rows], asked_features, ridges)
        is_reason = (stars > stars.mean()) & (influence > 0)
        terms = np.where(is_reason, influence * (targets - targets.mean()), 0.0)
        order = np.argsort(-terms, axis=1, kind="stable")[:, :reasons]
        because = [movie_ids[best[row[best] > 0]].tolist() for row, best in zip(terms, order, strict=True)]
        return asked.assign(because_movie_ids=because)

    users = recommendations.select("user_id").distinct()
    asked = recommendations.select("user_id", "movie_id").groupBy("user_id")
    rated = ratings.join(users, "user_id", how="left_semi").select("user_id", "movie_id", "rating").groupBy("user_id")
    schema = "user_id int, movie_id int, because_movie_ids array<int>"
    return asked.cogroup(rated).applyInPandas(contributions, schema)


def _user_vector(features: np.ndarray, targets: np.ndarray, ridges: tuple[Ridge, ...]) -> tuple[float, np.ndarray]:
    """Her bias and her features, (r,), from the features (n, r) of her rated movies and what is to be explained, (n,).

    The parts are solved one after the other, each on what those before it leave.
    """
    bias, weights = 0.0, []
    for ridge, part in zip(ridges, _parts(features, ridges), strict=True):
        solution = solve_ridge(part, targets[:, None], pulls_of(ridge, len(part))[None])[0]
        targets = targets - part @ solution
        if ridge.bias_damping is not None:
            bias, solution = solution[0], solution[1:]
        weights.append(solution)
    return bias, np.concatenate([np.zeros(0), *weights])


def _influence(rated: np.ndarray, asked: np.ndarray, ridges: tuple[Ridge, ...]) -> np.ndarray:
    """What a star more for each of n rated movies adds to the score of each of m asked ones, (m, n)."""
    total = np.zeros((len(asked), len(rated)))
    before: list[tuple[np.ndarray, np.ndarray]] = []
    for ridge, part, asked_part in zip(ridges, _parts(rated, ridges), _parts(asked, ridges), strict=True):
        solver = np.linalg.solve(part.T @ part + np.diag(pulls_of(ridge, len(part))), part.T)
        effect = asked_part @ solver
        for earlier_part, earlier_solver in reversed(before):
            effect = effect - effect @ earlier_part @ earlier_solver
        total += effect
        before.append((part, solver))
    return total


def _parts(features: np.ndarray, ridges: tuple[Ridge, ...]) -> list[np.ndarray]:
    """The columns of each ridge's part, with a column of ones first where it has the bias."""
    edges = np.cumsum([ridge.size for ridge in ridges])[:-1]
    return [
        part if ridge.bias_damping is None else np.insert(part, 0, 1.0, axis=1)
        for ridge, part in zip(ridges, np.split(features, edges, axis=1)[: len(ridges)], strict=True)
    ]
