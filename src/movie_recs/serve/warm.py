"""A first request to a new snapshot, so that no client waits for compiled loops to be loaded."""

from movie_recs.data.parameters import FilterParameters
from movie_recs.serve.answers import new_person, recommend, similar_movies
from movie_recs.serve.snapshot import Snapshot


def warm(snapshot: Snapshot) -> None:
    """Answers what touches every compiled function once."""
    scale, movies = snapshot.scale, snapshot.searched.ids[:2].tolist()
    person = new_person(snapshot, movies, [scale.most if scale else 1.0] * len(movies))
    recommend(snapshot, person, 1, FilterParameters())
    for movie in movies[:1]:
        for metric in snapshot.similar:
            similar_movies(snapshot, movie, 1, metric)
