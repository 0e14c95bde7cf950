"""The synthetic data set: the committed files, their format, and the planted effects that can be found in them."""

import csv
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from movie_recs.sample.__main__ import (
    HEADERS,
    SampleSpec,
    expected_rating,
    main,
    make_movies,
    noise_floor_rmse,
    rate,
    tag,
    write_sample,
    write_sample_with_spark,
)

COMMITTED = Path(__file__).parents[2] / "data" / "01_raw" / "sample"
SMALL = SampleSpec(users=60, movies=300, ratings_per_user=25, seed=7)


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ratings() -> list[dict[str, str]]:
    return read(COMMITTED, "ratings.csv")


@pytest.fixture(scope="module")
def movies() -> list[dict[str, str]]:
    return read(COMMITTED, "movies.csv")


@pytest.fixture(scope="module")
def planted():
    spec = SampleSpec()
    catalogue = make_movies(spec)
    rated = [rate(spec, catalogue, user_id) for user_id in range(1, spec.users + 1)]
    movie_id, rating, truth = (
        np.concatenate([getattr(r, name) for r in rated]) for name in ("movie_id", "rating", "truth")
    )
    return catalogue, movie_id, rating, truth


def test_the_generator_remakes_the_committed_files_to_the_byte(tmp_path):
    write_sample(SampleSpec(), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([*HEADERS, "README.txt", "synthetic.json"])
    for name in names:
        assert (tmp_path / name).read_bytes() == (COMMITTED / name).read_bytes(), name


def test_the_files_are_written_as_grouplens_does():
    for name, header in HEADERS.items():
        content = (COMMITTED / name).read_bytes()
        assert content.startswith(",".join(header).encode() + b"\r\n")
        assert content.endswith(b"\r\n")
        assert content.count(b"\n") == content.count(b"\r\n")
    movies = (COMMITTED / "movies.csv").read_text(encoding="utf-8")
    assert re.search(r'^\d+,"[^"]+, The \(\d{4}\)",', movies, re.MULTILINE)
    assert '""' in movies
    assert '""' in (COMMITTED / "tags.csv").read_text(encoding="utf-8")


def test_titles_are_unique_and_have_the_oddities_of_real_ones(movies):
    titles = [movie["title"] for movie in movies]
    assert len(set(titles)) == len(titles) == 600
    yearless = [title for title in titles if not re.search(r" \(\d{4}\)$", title)]
    assert 1 <= len(yearless) <= 20
    assert any(not title.isascii() for title in titles)
    assert not any(title.startswith(("The ", "A ")) for title in titles)
    assert 1 <= sum(movie["genres"] == "(no genres listed)" for movie in movies) <= 20


def test_links_are_unique_padded_and_some_are_missing():
    links = read(COMMITTED, "links.csv")
    assert all(re.fullmatch(r"\d{7}", link["imdbId"]) for link in links)
    assert len({link["imdbId"] for link in links}) == 600
    tmdb_ids = [link["tmdbId"] for link in links if link["tmdbId"]]
    assert 580 <= len(set(tmdb_ids)) == len(tmdb_ids) < 600


def test_the_ids_of_the_examples_have_ratings(ratings):
    assert {"232", "575"} <= {row["userId"] for row in ratings}
    assert {"463", "471"} <= {row["movieId"] for row in ratings}


def test_ratings_are_half_stars_of_distinct_pairs_in_order(ratings, movies):
    pairs = [(int(row["userId"]), int(row["movieId"])) for row in ratings]
    assert pairs == sorted(set(pairs))
    assert {row["rating"] for row in ratings} == {f"{half / 2:.1f}" for half in range(1, 11)}
    rated, known = {row["movieId"] for row in ratings}, {movie["movieId"] for movie in movies}
    assert rated < known


def test_tags_belong_to_ratings_and_follow_them(ratings):
    rated = {(row["userId"], row["movieId"]): int(row["timestamp"]) for row in ratings}
    tags = read(COMMITTED, "tags.csv")
    assert len(tags) > 100
    assert all(rated[row["userId"], row["movieId"]] < int(row["timestamp"]) for row in tags)


def test_nobody_rates_a_movie_before_its_year_or_out_of_range(ratings, movies):
    year = {m["movieId"]: int(m["title"][-5:-1]) for m in movies if re.search(r"\(\d{4}\)$", m["title"])}
    for row in ratings:
        when = datetime.fromtimestamp(int(row["timestamp"]), UTC)
        assert datetime(1996, 3, 29, tzinfo=UTC) <= when < datetime(2018, 9, 25, tzinfo=UTC)
        assert when.year >= year.get(row["movieId"], 0)


def test_users_rate_at_least_20_and_both_distributions_have_a_long_tail(ratings):
    by_user = np.unique([row["userId"] for row in ratings], return_counts=True)[1]
    assert len(by_user) == 610
    assert by_user.min() >= 20
    assert by_user.mean() > 1.2 * np.median(by_user)
    by_movie = np.sort(np.unique([row["movieId"] for row in ratings], return_counts=True)[1])[::-1]
    assert by_movie[:60].sum() > 0.35 * len(ratings)


def test_movie_means_follow_the_planted_biases(planted):
    catalogue, movie_id, rating, _ = planted
    row = np.searchsorted(catalogue.movie_id, movie_id)
    counts = np.bincount(row, minlength=len(catalogue.movie_id))
    often = counts >= 30
    means = np.bincount(row, rating, minlength=len(counts))[often] / counts[often]
    assert np.corrcoef(means, catalogue.bias[often])[0, 1] > 0.8


def test_the_planted_truth_reaches_the_documented_noise_floor_and_the_mean_does_not(planted):
    _, _, rating, truth = planted
    noted = json.loads((COMMITTED / "synthetic.json").read_text(encoding="utf-8"))
    assert noted["synthetic"] is True
    known = np.sqrt(np.mean((truth - rating) ** 2))
    assert noted["noise_floor_rmse"] <= known < noted["noise_floor_rmse"] + 0.05
    assert 0.95 < rating.std() < 1.15
    assert rating.mean() == pytest.approx(3.5, abs=0.1)


def test_expected_rating_is_the_mean_of_simulated_ratings():
    noise = np.random.default_rng(0).normal(0, 0.75, 200_000)
    for truth in (0.2, 1.0, 3.1, 4.9):
        simulated = np.clip(np.round(2 * (truth + noise)) / 2, 0.5, 5).mean()
        assert expected_rating(np.array([truth]), 0.75)[0] == pytest.approx(simulated, abs=0.01)


def test_less_noise_is_a_lower_floor():
    floors = [noise_floor_rmse(spec, make_movies(spec), 60) for spec in (SMALL, SampleSpec(60, 300, 25, noise=0.3))]
    assert floors[1] < 0.4 < floors[0]


def test_a_user_does_not_depend_on_those_drawn_before():
    catalogue = make_movies(SMALL)
    forwards = [rate(SMALL, catalogue, user_id) for user_id in range(1, 11)]
    backwards = [rate(SMALL, make_movies(SMALL), user_id) for user_id in range(10, 0, -1)]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_seed_is_another_data_set():
    other = SampleSpec(users=60, movies=300, ratings_per_user=25, seed=8)
    assert make_movies(SMALL).title != make_movies(other).title
    ours, theirs = (rate(spec, make_movies(SMALL), 1).movie_id.tolist() for spec in (SMALL, other))
    assert ours != theirs


def test_the_smallest_catalogue_has_20_movies_for_everyone():
    spec = SampleSpec(users=300, movies=300, ratings_per_user=200)
    catalogue = make_movies(spec)
    assert all(len(rate(spec, catalogue, user_id).movie_id) >= 20 for user_id in range(1, 301))


def test_a_large_catalogue_has_unique_titles_and_the_required_movies():
    catalogue = make_movies(SampleSpec(movies=20_000))
    assert len(set(catalogue.title)) == len(set(catalogue.movie_id.tolist())) == 20_000
    assert {463, 471} <= set(catalogue.movie_id.tolist())


@pytest.mark.parametrize(
    ("name", "value"), [("users", 0), ("movies", 299), ("ratings_per_user", 19), ("rank", 0), ("noise", -1.0)]
)
def test_a_wrong_size_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}; it must be from"):
        SampleSpec(**{name: value})


def test_the_command_line_takes_sizes_and_names_a_wrong_one(tmp_path, capsys):
    main(
        [
            "--folder",
            str(tmp_path),
            "--users",
            "30",
            "--movies",
            "300",
            "--ratings-per-user",
            "25",
            "--seed",
            "7",
        ]
    )
    assert json.loads((tmp_path / "synthetic.json").read_text(encoding="utf-8"))["users"] == 30
    assert {row["userId"] for row in read(tmp_path, "ratings.csv")} == {str(n) for n in range(1, 31)}
    with pytest.raises(SystemExit):
        main(["--rank", "0"])
    assert "rank is 0; it must be from 1 to 100" in capsys.readouterr().err


def test_plain_generation_needs_neither_spark_nor_pandas():
    code = "import sys, movie_recs.sample.__main__; sys.exit(bool({'pyspark', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_spark_writes_the_same_rows_as_one_process(spark, tmp_path):
    write_sample(SMALL, tmp_path / "one")
    write_sample_with_spark(spark, SMALL, tmp_path / "many")
    for name in ("ratings.csv", "tags.csv"):
        parts = sorted((tmp_path / "many" / name).glob("part-*.csv"))
        assert len(parts) > 1
        assert all(row.keys() == set(HEADERS[name]) for part in parts for row in read(part.parent, part.name))
        rows = [row for part in parts for row in read(part.parent, part.name)]
        assert rows == read(tmp_path / "one", name)
    for name in ("movies.csv", "links.csv", "synthetic.json", "README.txt"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert any(tag(SMALL, make_movies(SMALL), user_id) for user_id in range(1, 61))
