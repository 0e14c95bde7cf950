"""Titles of one series have one key."""

import pytest

from movie_recs.data.series import number_series, series_key


@pytest.mark.parametrize(
    ("titles", "key"),
    [
        (["Toy Story", "Toy Story 2", "Toy Story 3"], "toy story"),
        (["Godfather, The", "Godfather: Part II, The", "The Godfather: Part III"], "godfather"),
        (["Star Wars: Episode IV - A New Hope", "Star Wars: Episode V - The Empire Strikes Back"], "star wars"),
        (["Kill Bill: Vol. 1", "Kill Bill: Vol. 2"], "kill bill"),
        (["Lord of the Rings: The Two Towers, The", "Lord of the Rings, The"], "lord of the rings"),
        (["Harry Potter and the Chamber of Secrets", "Harry Potter and the Goblet of Fire"], "harry potter"),
        (["Rocky", "Rocky IV"], "rocky"),
        (["Final Destination, The (Final Destination 4) (Final Destination in 3-D, The)"], "final destination"),
        (["Karate Kid, Part II, The", "Karate Kid, The"], "karate kid"),
    ],
)
def test_parts_of_a_series_have_a_key_in_common(titles, key):
    assert {series_key(title) for title in titles} == {key}


def test_other_movies_have_keys_of_their_own():
    titles = ["Alien", "Big One, The", "Big", "Apollo 13", "Se7en", "2001: A Space Odyssey", "8 1/2", "...", "X", "V"]
    assert len({series_key(title) for title in titles}) == len(titles)
    assert all(series_key(title) for title in titles if title != "...")


def test_numbers_are_shared_within_a_series_alone():
    numbers = number_series(["Rocky II", "Big", "Rocky"])
    assert numbers[0] == numbers[2] != numbers[1]
