"""Lists of users of the data and of others: by the model's own functions, and by sums written out here."""

import numpy as np
import pytest
from serve import data_set

from movie_recs.data.parameters import FilterParameters
from movie_recs.errors import UserError
from movie_recs.serve.answers import known_person, new_person, recommend, similar_movies
from movie_recs.serve.current import Current
from movie_recs.serve.warm import warm

ALL = FilterParameters()


def history(user: int) -> dict[int, float]:
    rows = data_set.ratings().to_pylist()
    rows = sorted((row for row in rows if row["user_id"] == user), key=lambda row: str(row["rated_at"] or ""))
    return {row["movie_id"]: row["rating"] for row in rows}


def test_a_users_list_is_all_that_she_has_not_rated_by_its_score(snapshot):
    answer = recommend(snapshot, known_person(snapshot, "3"), 100, ALL)
    model, users = snapshot.ranking.model, snapshot.ranking.users
    vector = users.features[2].astype(float)
    scores = dict(
        zip(model.items.ids.tolist(), model.items.bias[:-1] + model.items.features[:-1] @ vector, strict=True)
    )
    unrated = [movie for movie in scores if movie not in history(3)]
    assert [row["movie_id"] for row in answer] == sorted(unrated, key=lambda movie: -scores[movie])
    np.testing.assert_allclose(
        [row["score"] for row in answer], sorted((scores[each] for each in unrated), reverse=True)
    )
    assert [row["rank"] for row in answer] == list(range(1, len(unrated) + 1))


def test_predicted_stars_are_the_rating_models_on_the_scale(snapshot):
    answer = recommend(snapshot, known_person(snapshot, "3"), 100, ALL)
    model, users = snapshot.rating.model, snapshot.rating.users
    for row in answer:
        place = model.items.rows_of(np.array([row["movie_id"]]))[0]
        product = model.items.features[place].astype(float) @ users.features[2].astype(float)
        stars = 3.5 + model.items.bias[place] + users.bias[2] + product
        assert row["predicted_stars"] == pytest.approx(min(max(stars, 0.5), 5.0))


def test_her_own_ratings_give_a_user_her_own_list_whether_the_data_know_her_or_not(snapshot):
    for user in data_set.USERS:
        own = history(user)
        known = recommend(snapshot, known_person(snapshot, str(user)), 5, ALL)
        new = recommend(snapshot, new_person(snapshot, list(own), list(own.values())), 5, ALL)
        assert [(row["movie_id"], row["because"]) for row in new] == [
            (row["movie_id"], row["because"]) for row in known
        ]
        for name in ("score", "predicted_stars"):
            np.testing.assert_allclose([row[name] for row in new], [row[name] for row in known], rtol=1e-6)


def test_reasons_are_her_own_ratings_as_people_read_them(snapshot):
    answer = recommend(snapshot, new_person(snapshot, [3, 9, 12], [5.0, 4.0, 3.5]), 9, ALL)
    texts = {"The Matrix (5.0)", "L'Avventura (The Adventure) (4.0)", "The Shawshank Redemption (3.5)"}
    named = [set(row["because"]) for row in answer]
    assert set().union(*named) <= texts
    assert any(named)
    shares = [row["because_shares"] for row in answer if row["score"] > 0]
    assert all(share > 0 for row in shares for share in row)
    assert [len(row["because_shares"]) for row in answer] == [len(row["because"]) for row in answer]


def test_of_two_ratings_of_a_movie_the_last_counts(snapshot):
    twice = new_person(snapshot, [3, 1, 3], [0.5, 4.0, 5.0])
    assert recommend(snapshot, twice, 9, ALL) == recommend(snapshot, new_person(snapshot, [1, 3], [4.0, 5.0]), 9, ALL)


def test_later_ratings_count_more(snapshot):
    first = recommend(snapshot, new_person(snapshot, [1, 3], [4.0, 5.0]), 9, ALL)
    assert first != recommend(snapshot, new_person(snapshot, [3, 1], [5.0, 4.0]), 9, ALL)


def test_without_ratings_movies_are_ranked_by_their_biases(snapshot):
    answer = recommend(snapshot, new_person(snapshot, [], []), 12, ALL, series_apart=False)
    items = snapshot.ranking.model.items
    assert [row["movie_id"] for row in answer] == items.ids[np.argsort(-items.bias[:-1])].tolist()
    assert {tuple(row["because"]) for row in answer} == {()}
    stars = snapshot.rating.model.items
    by_id = dict(zip(stars.ids.tolist(), 3.5 + stars.bias, strict=False))
    assert [row["predicted_stars"] for row in answer] == pytest.approx([by_id[row["movie_id"]] for row in answer])


def test_parts_of_a_series_stand_apart_unless_asked(snapshot):
    """1 and 2 are Toy Story and its second part, which follow each other by their scores."""

    def distance(**order) -> int:
        listed = [row["movie_id"] for row in recommend(snapshot, new_person(snapshot, [], []), 12, ALL, **order)]
        return abs(listed.index(1) - listed.index(2))

    assert distance(series_apart=False) == 1
    assert distance() > 1


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({"genres": ["comedy"]}, {1, 2, 6}),
        ({"genres": ["Comedy"], "without_genres": ["Romance"]}, {1, 2}),
        ({"first_year": 2001}, {4, 8, 10, 11}),
        ({"without_movie_ids": [*range(1, 12), 99, "x"]}, {12}),
        ({"first_year": 2050}, set()),
    ],
)
def test_filters_let_pass_what_they_let_pass_in_the_pipeline(snapshot, filters, passing):
    answer = recommend(snapshot, new_person(snapshot, [], []), 12, FilterParameters(**filters))
    assert {row["movie_id"] for row in answer} == passing


def test_min_ratings_counts_the_ratings_of_the_data(snapshot):
    counts = {movie: data_set.ratings()["movie_id"].to_pylist().count(movie) for movie in data_set.MOVIE_IDS}
    answer = recommend(snapshot, new_person(snapshot, [], []), 12, FilterParameters(min_ratings=5))
    assert {row["movie_id"] for row in answer} == {movie for movie, count in counts.items() if count >= 5}


def test_an_unknown_genre_is_an_error(snapshot):
    with pytest.raises(UserError, match="there is no genre 'Horor'; the genres are Action, Comedy, Drama"):
        recommend(snapshot, new_person(snapshot, [], []), 3, FilterParameters(genres=["Horor"]))


def test_an_unknown_user_is_nobody(snapshot):
    assert [known_person(snapshot, user) for user in ("9", "0", "-1", "x", "", "1" * 400, "3.0")] == [None] * 7


def test_similar_movies_are_the_nearest(snapshot):
    items = snapshot.rating.model.items
    vectors = items.features[:-1].astype(float)
    for metric in ("l2", "cosine"):
        answer = similar_movies(snapshot, 3, 12, metric)
        lengths = np.linalg.norm(vectors, axis=1)
        expected = np.linalg.norm(vectors - vectors[2], axis=1)
        if metric == "cosine":
            expected = 1 - vectors @ vectors[2] / lengths / lengths[2]
        order = [place for place in np.argsort(expected) if place != 2]
        assert [row["movie_id"] for row in answer] == items.ids[order].tolist()
        np.testing.assert_allclose([row["distance"] for row in answer], expected[order], rtol=1e-6)
    assert similar_movies(snapshot, 99, 3, "l2") == []


def test_text_ids_are_answered_as_the_data_have_them(tmp_path):
    snapshot = Current(data_set.write(tmp_path, text_ids=True), warm).snapshot
    assert known_person(snapshot, "3") is None
    answer = recommend(snapshot, known_person(snapshot, "u3"), 3, ALL)
    assert all(row["movie_id"].startswith("m") for row in answer)
    left = recommend(
        snapshot, known_person(snapshot, "u3"), 12, FilterParameters(without_movie_ids=[answer[0]["movie_id"]])
    )
    assert answer[0]["movie_id"] not in [row["movie_id"] for row in left]
    assert similar_movies(snapshot, snapshot.catalogue.find_id("m3"), 1, "l2")[0]["movie_id"].startswith("m")


def test_events_have_neither_stars_nor_a_rating_model(tmp_path):
    snapshot = Current(data_set.write(tmp_path, scale=None), warm).snapshot
    answer = recommend(snapshot, new_person(snapshot, [3, 5], [1.0, 1.0]), 9, ALL)
    assert {row["predicted_stars"] for row in answer} == {None}
    assert set().union(*(row["because"] for row in answer)) <= {"The Matrix", "Sabrina"}
    assert similar_movies(snapshot, 3, 1, "l2")
