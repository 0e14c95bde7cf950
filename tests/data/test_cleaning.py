"""Which rows of the raw files are kept, which are set aside and why, and which files stop the run."""

import gzip
import math

import pytest
from pyspark.sql import Row
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from movie_recs.data import cleaning
from movie_recs.data.cleaning import Ids
from movie_recs.data.identifiers import OWN_NUMBERS
from movie_recs.data.scale import HALF_STARS
from movie_recs.data.schemas import RAW_HEADERS
from movie_recs.data.sources.layouts import LAYOUTS, Source
from movie_recs.data.sources.profile import Profile
from movie_recs.data.sources.reading import column_names, read_table, text_rows
from movie_recs.errors import UserError

HEADER = "userId,movieId,rating,timestamp"
HEADER_WITHOUT_TIME = "userId,movieId,rating"

NOT_STARS = "rating is not one of 0.5, 1.0 ... 5.0"
NOT_AN_ID = "is not a positive 32-bit integer"
NOT_WHOLE = "is not a whole number"
NOT_SECONDS = "timestamp is not a number of seconds"
NOT_FOUR, NOT_THREE = "the row has not 4 fields", "the row has not 3 fields"
GOOD = None
RATING_ROWS = {
    "1,10,4.0,964982703": GOOD,
    "2147483647,10,0.5,0": GOOD,
    "2,10,5,1": GOOD,
    " 3 , 10 , 3.5 , 1 ": GOOD,
    ",10,4.0,1": "userId is missing",
    "1,,4.0,1": "movieId is missing",
    "1,10,,1": "rating is missing",
    "1,10,4.0,": GOOD,
    "1,10,4.0,  ": GOOD,
    "1,10,,": "rating is missing",
    "1,10,  ,1": "rating is missing",
    "one,10,4.0,1": f"userId {NOT_WHOLE}",
    "1,ten,4.0,1": f"movieId {NOT_WHOLE}",
    "1,10,four,1": "rating is not a number",
    "1,10,NaN,1": "rating is not a number",
    "1,10,4.0,yesterday": NOT_SECONDS,
    "1,10,4.0,964982703.0": GOOD,
    "1,10,4.0,964982703.5": NOT_SECONDS,
    "1,10,9.9,1": NOT_STARS,
    "1,10,0.0,1": NOT_STARS,
    "1,10,5.5,1": NOT_STARS,
    "1,10,-4.0,1": NOT_STARS,
    "1,10,3.25,1": NOT_STARS,
    "1,10,Infinity,1": "rating is not a number",
    "0,10,4.0,1": f"userId {NOT_AN_ID}",
    "-1,10,4.0,1": f"userId {NOT_AN_ID}",
    "3000000000,10,4.0,1": f"userId {NOT_AN_ID}",
    "2147483648,10,4.0,1": f"userId {NOT_AN_ID}",
    "1,12345678901234567890,4.0,1": f"movieId {NOT_AN_ID}",
    "1e3,10,4.0,1": f"userId {NOT_WHOLE}",
    "1.0,10,4.0,1": f"userId {NOT_WHOLE}",
    "1,0x1F,4.0,1": f"movieId {NOT_WHOLE}",
    "1,10,4.0f,1": "rating is not a number",
    "1,10,0x1p1,1": "rating is not a number",
    "1,10,+4.,1": GOOD,
    "1,10,45e-1,1": GOOD,
    "1,10,4.0,1,extra": NOT_FOUR,
    "1,10,4.0": NOT_FOUR,
    "1": NOT_FOUR,
    "1,10,4.0,99999999999999": NOT_SECONDS,
    "1,10,4.0,99999999999999999999": NOT_SECONDS,
    "1,10,4.0,-1": NOT_SECONDS,
    "1,10,4.0,\t1": NOT_SECONDS,
    "1,10,4.0,\x001": NOT_SECONDS,
    "1,10,4.0,+1": NOT_SECONDS,
    "1,10\u2028,4.0,1": f"movieId {NOT_WHOLE}",
}
ROWS_WITHOUT_TIME = {
    "1,10,4.0": GOOD,
    " 2 , 10 , 3.5 ": GOOD,
    '"3","10","5.0"': GOOD,
    ",10,4.0": "userId is missing",
    "1,10,": "rating is missing",
    "one,10,4.0": f"userId {NOT_WHOLE}",
    "1,10,9.9": NOT_STARS,
    "1,10": NOT_THREE,
    "1": NOT_THREE,
    "1,10,4.0,964982703": NOT_THREE,
    "1,10,4.0,": NOT_THREE,
    "1,10,4.0,,": NOT_THREE,
    "1,10,4.0,1,extra": NOT_THREE,
}


SOURCE = Source(LAYOUTS["csv"], "csv")
PROFILE = Profile(True, True, "seconds", HALF_STARS)
TABLES = {"ratings": "ratings", "movies": "items", "tags": "tags", "links": "links"}
UNKNOWN, TWICE = "movieId is not in movies.csv", "duplicate movieId"


@pytest.fixture(scope="module")
def read(spark, tmp_path_factory):
    """A function that reads a raw file with this content: the first arguments of the functions that parse."""
    none = spark.createDataFrame([], OWN_NUMBERS)

    def read_content(file: str, content: str | bytes | dict[str, str]):
        folder = tmp_path_factory.mktemp("raw")
        path = folder / f"{file}.csv"
        if isinstance(content, dict):
            path.mkdir()
            for name, part in content.items():
                (path / name).write_text(part, encoding="utf-8", newline="")
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        table = TABLES[file]
        rows = text_rows(read_table(spark, str(folder), SOURCE, table), SOURCE, table)
        return rows, column_names(SOURCE, table), PROFILE, Ids(none, none)

    return read_content


def lines(*rows: str) -> str:
    return "".join(f"{row}\r\n" for row in rows)


@pytest.fixture(scope="module")
def judged_rating_rows(read) -> dict[str, Row]:
    return {
        row["record"]: row for row in cleaning.parse_ratings(*read("ratings", lines(HEADER, *RATING_ROWS))).collect()
    }


def test_no_row_is_lost_and_the_header_is_not_a_row(judged_rating_rows):
    assert judged_rating_rows.keys() == RATING_ROWS.keys()


@pytest.mark.parametrize(("record", "reason"), RATING_ROWS.items())
def test_a_rating_row_is_good_or_has_its_reason(judged_rating_rows, record, reason):
    assert judged_rating_rows[record]["reason"] == reason


@pytest.fixture(scope="module")
def judged_rows_without_time(read) -> dict[str, Row]:
    raw = read("ratings", lines(HEADER_WITHOUT_TIME, *ROWS_WITHOUT_TIME))
    return {row["record"]: row for row in cleaning.parse_ratings(*raw).collect()}


def as_read(record: str) -> str:
    """A good row is identified by its fields, hence without quotes."""
    return record.replace('"', "")


def test_no_row_of_a_file_without_times_is_lost_and_the_header_is_not_a_row(judged_rows_without_time):
    assert judged_rows_without_time.keys() == {as_read(record) for record in ROWS_WITHOUT_TIME}


@pytest.mark.parametrize(("record", "reason"), ROWS_WITHOUT_TIME.items())
def test_a_row_of_a_file_without_times_is_good_or_has_its_reason(judged_rows_without_time, record, reason):
    assert judged_rows_without_time[as_read(record)]["reason"] == reason


def test_good_ratings_of_a_file_without_times_are_typed(spark, read):
    parsed = cleaning.parse_ratings(*read("ratings", lines(HEADER_WITHOUT_TIME, "1,10,4.0", "2,20,0.5")))
    assertDataFrameEqual(
        parsed,
        spark.createDataFrame(
            [(1, 10, 4.0, None, "1,10,4.0", None), (2, 20, 0.5, None, "2,20,0.5", None)],
            "user_id int, movie_id int, rating float, rated_at timestamp, record string, reason string",
        ),
    )


def test_good_ratings_are_typed_and_a_missing_time_is_null(spark, read):
    parsed = cleaning.parse_ratings(*read("ratings", lines(HEADER, "1,10,4.0,964982703", "2,20,0.5,0", "3,30,1,")))
    expected = spark.createDataFrame(
        [(1, 10, 4.0, "2000-07-30 18:45:03"), (2, 20, 0.5, "1970-01-01 00:00:00"), (3, 30, 1.0, None)],
        "user_id int, movie_id int, rating float, rated_at string",
    )
    assertDataFrameEqual(
        parsed.drop("record", "reason"), expected.withColumn("rated_at", expected.rated_at.cast("timestamp"))
    )


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("seconds", "1420070401", "2015-01-01 00:00:01"),
        ("milliseconds", "1420070401250", "2015-01-01 00:00:01.25"),
        ("microseconds", "1420070401000250", "2015-01-01 00:00:01.00025"),
        ("nanoseconds", "1420070401999999999", "2015-01-01 00:00:01.999999"),
        ("iso", "2015-01-01T01:00:01+01:00", "2015-01-01 00:00:01"),
    ],
)
def test_times_are_read_in_any_unit(read, unit, text, expected):
    rows, names, profile, ids = read("ratings", lines(HEADER, f"1,10,4.0,{text}"))
    parsed = cleaning.parse_ratings(rows, names, profile._replace(time_unit=unit), ids)
    assert parsed.select(F.col("rated_at").cast("string"), "reason").first() == (expected, None)


MOVIE_ROWS = {
    "1,Toy Story (1995),Adventure|Animation": ("Toy Story", 1995, ["Adventure", "Animation"]),
    '2,"American President, The (1995)",Comedy': ("American President, The", 1995, ["Comedy"]),
    '3,"Il ""Divo"", The (2008)",Drama': ('Il "Divo", The', 2008, ["Drama"]),
    "4,Cité des enfants perdus 失われた (La) (1995),Drama": ("Cité des enfants perdus 失われた (La)", 1995, ["Drama"]),
    "5,Moonlight (2016) ,Drama": ("Moonlight", 2016, ["Drama"]),
    "6,Babylon 5,Sci-Fi": ("Babylon 5", None, ["Sci-Fi"]),
    "7,Death Note (2006–2007),(no genres listed)": ("Death Note (2006–2007)", None, []),  # noqa: RUF001 - the data has it
    "8,2012 (2009),Action": ("2012", 2009, ["Action"]),
    "9,(2006),Action": ("(2006)", None, ["Action"]),
    "10,1984,Drama": ("1984", None, ["Drama"]),
    "11,Nocturnes(1999),Drama": ("Nocturnes", 1999, ["Drama"]),
    "12,Twice (1950) (1951),Drama": ("Twice (1950)", 1951, ["Drama"]),
    "16,\u2028Heat\u3000(1995)\u2028\x85,Drama": ("Heat", 1995, ["Drama"]),
    "17,On\u2028two lines (1996),Drama": ("On\u2028two lines", 1996, ["Drama"]),
    "18,Alien (1979), Sci-Fi | Horror ||Sci-Fi|": ("Alien", 1979, ["Sci-Fi", "Horror"]),
    "19,Brazil (1985),(no genres listed)|Comedy": ("Brazil", 1985, ["Comedy"]),
}


@pytest.fixture(scope="module")
def parsed_movies(read) -> dict[int, Row]:
    content = lines(
        "movieId,title,genres",
        *MOVIE_ROWS,
        "13,,Drama",
        "14,No Genres (1999),",
        "15,A, B (1999),Drama",
        "20,\u2028,Drama",
    )
    return {row["movie_id"]: row for row in cleaning.parse_movies(*read("movies", content)).collect()}


@pytest.mark.parametrize(("line", "expected"), MOVIE_ROWS.items())
def test_a_movie_row_gives_title_year_and_genres(parsed_movies, line, expected):
    row = parsed_movies[int(line.split(",")[0])]
    assert (row["title"], row["year"], row["genres"]) == expected
    assert row["reason"] is None


@pytest.mark.parametrize(
    ("movie_id", "reason"),
    [(13, "title is missing"), (20, "title is missing"), (14, "genres is missing"), (15, "the row has not 3 fields")],
)
def test_a_bad_movie_row_has_its_reason(parsed_movies, movie_id, reason):
    assert parsed_movies[movie_id]["reason"] == reason


def test_a_missing_link_is_null_and_not_an_error(read):
    content = lines("movieId,imdbId,tmdbId", "1,0114709,862", "2,0113497,", "3,,", "x,0113497,1")
    rows = cleaning.parse_links(*read("links", content)).select("movie_id", "imdb_id", "tmdb_id", "reason").collect()
    assert [tuple(row) for row in rows] == [
        (1, "0114709", 862, None),
        (2, "0113497", None, None),
        (3, None, None, None),
        (None, "0113497", 1, f"movieId {NOT_WHOLE}"),
    ]


@pytest.mark.parametrize(
    ("imdb", "tmdb", "expected"),
    [
        ("tt0114709", "862.0", ("0114709", 862, [])),
        ("\u3000 0114709 ", " 0862", ("0114709", 862, [])),
        (" ", "\xa0", (None, None, [])),
        ("tt/../..", "abc", (None, None, ["imdb", "tmdb"])),
        ("tt", "-5", (None, None, ["imdb", "tmdb"])),
        ("0114709", "0", ("0114709", None, ["tmdb"])),
        ("0114709\u2028", "862\x00", ("0114709", None, ["tmdb"])),
        ("٠١١٤٧٠٩", "2147483648", (None, None, ["imdb", "tmdb"])),
        ("0114709/", "862.5", (None, None, ["imdb", "tmdb"])),
    ],
)
def test_links_are_numbers_or_null_with_a_reason(read, imdb, tmdb, expected):
    imdb_id, tmdb_id, nulled = expected
    row = cleaning.parse_links(*read("links", lines("movieId,imdbId,tmdbId", f"1,{imdb},{tmdb}"))).first()
    why = {"imdb": "imdbId is not a number of IMDb", "tmdb": "tmdbId is not a positive 32-bit integer"}
    assert (row["imdb_id"], row["tmdb_id"], row["nulled"]) == (imdb_id, tmdb_id, [why[name] for name in nulled])
    assert row["reason"] is None


def test_links_that_became_null_are_counted_in_clean_rows(read, caplog):
    content = lines("movieId,imdbId,tmdbId", "1,tt/..,862", "2,0113497,abc", "3,0113277,-5", "x,0113277,-5", "4,,")
    judged = cleaning.forget_good_records(cleaning.parse_links(*read("links", content)))
    assert cleaning.count_nulled(("links.csv", judged)) == [
        {"file": "links.csv", "reason": "imdbId is not a number of IMDb", "rows": 1},
        {"file": "links.csv", "reason": "tmdbId is not a positive 32-bit integer", "rows": 2},
    ]
    assert (
        "2 rows are kept without a link: tmdbId is not a positive 32-bit integer (as in '2,0113497,abc')" in caplog.text
    )


def test_tags_keep_their_quotes_commas_and_other_alphabets(read):
    content = lines("userId,movieId,tag,timestamp", '1,2,"funny, ""very""",3', "1,2,кино,3", "1,2,,3")
    rows = cleaning.parse_tags(*read("tags", content)).collect()
    assert [(row["tag"], row["reason"]) for row in rows] == [
        ('funny, "very"', None),
        ("кино", None),
        (None, "tag is missing"),
    ]


def test_nul_in_a_quoted_field_is_kept(read):
    rows = cleaning.parse_tags(*read("tags", lines("userId,movieId,tag,timestamp", '1,2,"a \x00""b""",3'))).collect()
    assert [row["tag"] for row in rows] == ['a \x00"b"']


def test_a_tags_file_may_be_without_times(read):
    content = lines("userId,movieId,tag", '1,2,"funny, ""very"""', "1,2,кино", "1,2,", "1,2", "1,2,noir,3")
    rows = cleaning.parse_tags(*read("tags", content)).collect()
    assert [(row["tag"], row["tagged_at"], row["reason"]) for row in rows[:3]] == [
        ('funny, "very"', None, None),
        ("кино", None, None),
        (None, None, "tag is missing"),
    ]
    assert [(row["record"], row["reason"]) for row in rows[3:]] == [("1,2", NOT_THREE), ("1,2,noir,3", NOT_THREE)]


def test_the_time_of_a_tag_may_be_missing_but_not_wrong(read):
    content = lines("userId,movieId,tag,timestamp", "1,2,a,", "1,2,a,b")
    rows = cleaning.parse_tags(*read("tags", content)).collect()
    assert [(row["tag"], row["tagged_at"], row["reason"]) for row in rows] == [
        ("a", None, None),
        ("a", None, NOT_SECONDS),
    ]


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("ratings", lines("1,10,4.0,1", "2,10,4.0,1"), "'1,10,4.0,1'"),
        ("ratings", lines("movieId,title,genres", "1,Toy Story (1995),Comedy"), "'movieId,title,genres'"),
        ("ratings", lines(f"{HEADER},more", "1,10,4.0,1,1"), f"'{HEADER},more'"),
        ("ratings", lines("userId,movieId,stars,timestamp", "1,10,4.0,1"), "'userId,movieId,stars,timestamp'"),
        ("ratings", lines("userId,movieId", "1,10"), "'userId,movieId'"),
        ("ratings", lines("userId,movieId,timestamp", "1,10,1"), "'userId,movieId,timestamp'"),
        ("ratings", lines("userId;movieId;rating;timestamp", "1;10;4.0;1"), "'userId;movieId;rating;timestamp'"),
        ("movies", lines(HEADER, "1,10,4.0,1"), f"'{HEADER}'"),
        ("ratings", gzip.compress(lines(HEADER, "1,10,4.0,1").encode(), mtime=0), ""),
    ],
    ids=[
        *("no header", "of another file", "a column more", "another name", "no rating and time", "no rating"),
        *("semicolons", "swapped", "binary"),
    ],
)  # fmt: skip
def test_a_file_without_its_header_is_refused(read, file, content, found):
    parse = {"ratings": cleaning.parse_ratings, "movies": cleaning.parse_movies}[file]
    with pytest.raises(UserError) as error:
        parse(*read(file, content))
    assert f"{file}.csv begins with {found}" in str(error.value)
    assert f"instead of the header '{','.join(RAW_HEADERS[file])}'" in str(error.value)


def test_an_empty_file_is_refused(read):
    with pytest.raises(UserError, match=r"ratings\.csv is empty"):
        cleaning.parse_ratings(*read("ratings", ""))


@pytest.mark.parametrize("content", ["", "\n", "userId,movieId,tag,timestamp\n"])
def test_tags_may_be_empty_with_and_without_a_header(read, content):
    assert cleaning.parse_tags(*read("tags", content)).count() == 0


def test_a_file_with_its_header_only_is_refused(read):
    parsed = cleaning.parse_ratings(*read("ratings", lines(HEADER)))
    with pytest.raises(UserError, match=r"ratings\.csv has no rows below its header"):
        cleaning.separate(parsed, "ratings.csv", 1.0)


def ways_to_write(header: str, *rows: str) -> dict[str, bytes | str | dict[str, str]]:
    one, other = rows
    return {
        "byte order mark": b"\xef\xbb\xbf" + lines(header, one, other).encode(),
        "line feeds": lines(header, one, other).replace("\r\n", "\n"),
        "blank line, open end": lines(header, one, "", other).removesuffix("\r\n"),
        "parts": {
            "part-00000.csv": lines(header, one),
            "part-00001.csv": lines(header, other),
            "part-00002.csv": lines(header),
            "_SUCCESS": "",
        },
    }


@pytest.mark.parametrize("way", ways_to_write(HEADER, "", ""))
@pytest.mark.parametrize(
    ("header", "rows"),
    [(HEADER, ("1,10,4.0,1", "2,10,4.0,1")), (HEADER_WITHOUT_TIME, ("1,10,4.0", "2,10,4.0"))],
    ids=["with times", "without times"],
)
def test_files_of_different_writers_are_read_alike(read, header, rows, way):
    parsed = cleaning.parse_ratings(*read("ratings", ways_to_write(header, *rows)[way])).collect()
    assert sorted((row["user_id"], row["record"], row["reason"]) for row in parsed) == [
        (1, rows[0], None),
        (2, rows[1], None),
    ]


PARSE = {
    "ratings": cleaning.parse_ratings,
    "movies": cleaning.parse_movies,
    "tags": cleaning.parse_tags,
    "links": cleaning.parse_links,
}


@pytest.mark.parametrize(
    ("file", "last_column", "row", "value"),
    [
        ("ratings", "rated_at", "1,10,4.0,0", "1970-01-01 00:00:00"),
        ("movies", "genres", "1,Heat (1995),Action|Crime", "[Action, Crime]"),
        ("tags", "tagged_at", "1,10,noir,", None),
        ("links", "tmdb_id", "1,0113277,949", "949"),
    ],
)
@pytest.mark.parametrize("line_end", ["\r\n", "\n"], ids=["CRLF", "LF"])
def test_the_last_field_of_each_file_is_read_with_either_line_end(read, file, last_column, row, value, line_end):
    content = line_end.join([",".join(RAW_HEADERS[file]), row, ""])
    parsed = PARSE[file](*read(file, content)).select(F.col(last_column).cast("string"), "record", "reason")
    assert [tuple(found) for found in parsed.collect()] == [(value, row, None)]


@pytest.mark.parametrize("file", ["tags", "links"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", ""], ids=["CRLF", "LF", "open end"])
def test_tags_and_links_may_have_no_row_below_their_header(read, file, line_end):
    cleaned = cleaning.separate(
        PARSE[file](*read(file, ",".join(RAW_HEADERS[file]) + line_end)), f"{file}.csv", 0.0, may_be_empty=True
    )
    assert (cleaned.rows.count(), cleaned.set_aside.count()) == (0, 0)


@pytest.fixture
def parsed_ratings(spark):
    """A function from rows (user_id, movie_id, rating, seconds, reason) to a parsed table; `record` is the place."""

    def table(*rows: tuple):
        frame = spark.createDataFrame(
            [
                (user, movie, stars, seconds, str(place), reason)
                for place, (user, movie, stars, seconds, reason) in enumerate(rows)
            ],
            "user_id int, movie_id int, rating float, rated_at long, record string, reason string",
        )
        return frame.withColumn("rated_at", frame.rated_at.cast("timestamp"))

    return table


def reasons(judged) -> dict[str, str | None]:
    return {row["record"]: row["reason"] for row in judged.collect()}


def test_the_latest_of_several_ratings_counts_and_of_equal_times_the_highest(spark, parsed_ratings):
    movies = spark.createDataFrame([(10,), (20,), (30,)], "movie_id int")
    parsed = parsed_ratings(
        (1, 10, 5.0, 100, None),
        (1, 10, 2.0, 200, None),
        (1, 10, 9.9, 300, "bad"),  # a bad row supersedes nothing
        (1, 20, 3.0, 100, None),
        (1, 20, 4.0, 100, None),
        (2, 10, 1.0, 50, None),
        (2, 99, 1.0, 50, None),
        (2, 99, 1.0, 60, None),
        (None, 10, 1.0, 50, "worse"),
    )
    later, unknown = "the user rated the movie again later", "movieId is not in movies.csv"
    judged = cleaning.judge_ratings(parsed.repartition(3), movies, UNKNOWN)
    assert reasons(judged) == {
        "0": later, "1": None, "2": "bad", "3": later, "4": None, "5": None, "6": unknown, "7": unknown, "8": "worse",
    }  # fmt: skip
    assert judged.columns == parsed.columns


def test_without_times_the_highest_of_several_ratings_counts_and_any_time_is_later_than_none(spark, parsed_ratings):
    parsed = parsed_ratings(
        (1, 10, 2.0, None, None),
        (1, 10, 4.0, None, None),
        (1, 10, 3.0, None, None),
        (2, 10, 5.0, None, None),
        (2, 10, 1.0, 0, None),
        (3, 10, 4.0, None, None),
        (3, 10, 4.0, None, None),
    )
    later = "the user rated the movie again later"
    expected = {"0": later, "1": None, "2": later, "3": later, "4": None, "5": None, "6": later}
    for partitions in (1, 3):
        judged = cleaning.judge_ratings(
            parsed.repartition(partitions), spark.createDataFrame([(10,)], "movie_id int"), UNKNOWN
        )
        assert reasons(judged) == expected


def test_one_of_two_equal_ratings_counts(spark, parsed_ratings):
    judged = cleaning.judge_ratings(
        parsed_ratings(*[(1, 10, 4.0, 100, None)] * 2), spark.createDataFrame([(10,)], "movie_id int"), UNKNOWN
    )
    assert sorted(reasons(judged).values(), key=str) == [None, "the user rated the movie again later"]


def test_the_first_of_two_rows_of_a_movie_counts(spark):
    parsed = spark.createDataFrame(
        [(1, "Zulu", "z", None), (1, "Alien", "a", None), (2, "Heat", "h", None), (1, "Aa", "b", "bad")],
        "movie_id int, title string, record string, reason string",
    )
    twice = "duplicate movieId"
    assert reasons(cleaning.judge_movies(parsed, TWICE)) == {"z": twice, "a": None, "h": None, "b": "bad"}


def test_links_are_unique_and_links_and_tags_belong_to_known_movies(spark):
    movies = spark.createDataFrame([(1,)], "movie_id int")
    links = spark.createDataFrame(
        [(1, "1,07,", None), (1, "1,05,", None), (9, "9,07,", None)], "movie_id int, record string, reason string"
    )
    assert reasons(cleaning.judge_links(links, movies, UNKNOWN, TWICE)) == {
        "1,07,": "duplicate movieId",
        "1,05,": None,
        "9,07,": "movieId is not in movies.csv",
    }
    assert reasons(cleaning.judge_tags(links, movies, UNKNOWN)) == {
        "1,07,": None,
        "1,05,": None,
        "9,07,": "movieId is not in movies.csv",
    }


def test_separate_parts_the_clean_from_the_bad(spark, parsed_ratings):
    cleaned = cleaning.separate(
        parsed_ratings((1, 10, 4.0, 1, None), (1, 20, 9.9, 1, "too good"), (2, 10, 3.0, 1, None)), "ratings.csv", 0.5
    )
    assertDataFrameEqual(
        cleaned.rows.select("user_id", "movie_id", "rating"),
        spark.createDataFrame([(1, 10, 4.0), (2, 10, 3.0)], "user_id int, movie_id int, rating float"),
    )
    assert cleaned.rows.columns == ["user_id", "movie_id", "rating", "rated_at"]
    assert [tuple(row) for row in cleaned.set_aside.collect()] == [("ratings.csv", "too good", "1")]


def with_bad_rows(spark, bad: int, total: int):
    """`total` rows of which `bad` are bad: twice as many for the reason `odd` as for `worse`."""
    return spark.sql(
        f"select id, concat('row ', id) record, case when id < {bad} then if(id % 3 = 0, 'worse', 'odd') end reason "
        f"from range({total})"
    )


@pytest.mark.parametrize(("bad", "total", "allowed"), [(29, 100, 0.29), (0, 3, 0.0)])
def test_as_many_bad_rows_as_allowed_pass(spark, bad, total, allowed):
    cleaned = cleaning.separate(with_bad_rows(spark, bad, total), "ratings.csv", allowed)
    assert (cleaned.rows.count(), cleaned.set_aside.count()) == (total - bad, bad)


@pytest.mark.parametrize(("bad", "total", "allowed"), [(6, 20, 0.29), (3, 100, 0.0)])
def test_more_bad_rows_than_allowed_stop_the_run_with_file_share_and_examples(spark, bad, total, allowed):
    with pytest.raises(UserError) as error:
        cleaning.separate(with_bad_rows(spark, bad, total), "ratings.csv", allowed)
    said = str(error.value)
    assert f"ratings.csv has {bad} bad rows of {total}, more than the {allowed:.2%}" in said
    assert "data_processing.max_bad_rows" in said
    odd, worse = bad - bad // 3, bad // 3
    assert f"{odd} because odd (as in 'row 1'); {worse} because worse (as in 'row 0')." in said


def test_a_file_without_a_good_row_stops_the_run_at_any_limit(spark):
    with pytest.raises(UserError, match=r"no good row among its 3, is it the right file\? 2 because odd"):
        cleaning.separate(with_bad_rows(spark, 3, 3), "ratings.csv", 1.0)


def test_rows_set_aside_are_logged(spark, caplog):
    cleaning.separate(with_bad_rows(spark, 1, 100), "tags.csv", 0.01)
    assert "tags.csv: 1 of 100 rows are set aside: 1 because worse (as in 'row 0')" in caplog.text


def test_events_of_a_pair_add_up_to_one_strength_and_the_last_time(parsed_ratings):
    events = cleaning.good_rows(
        parsed_ratings(
            (1, 10, 1.0, 100, None), (1, 10, 6.0, 300, None), (1, 20, 0.25, 50, None), (2, 10, 1.0, None, None)
        )
    )
    found = cleaning.add_up(events).orderBy("user_id", "movie_id").collect()
    assert [(row["user_id"], row["movie_id"]) for row in found] == [(1, 10), (1, 20), (2, 10)]
    assert [row["rating"] for row in found] == pytest.approx([1 + math.log(7), 1, 1])
    assert [row["rated_at"] and row["rated_at"].timestamp() for row in found] == [300, 50, None]


def test_a_quantity_of_events_has_to_be_above_0(read):
    rows, names, profile, ids = read("ratings", lines(HEADER, "1,10,17,1", "1,20,0,1", "1,30,-2,1"))
    parsed = cleaning.parse_ratings(rows, names, profile._replace(scale=None), ids).collect()
    assert [row["reason"] for row in parsed] == [None, "rating is not above 0", "rating is not above 0"]
