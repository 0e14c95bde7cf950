"""Sources: which files belong to a data set, how tables are read as text, and what is said of a wrong description."""

import pandas as pd
import pytest
from pyspark.sql import functions as F

from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.data.sources.description import SourceDescription
from movie_recs.data.sources.layouts import LAYOUTS, find_layout, find_test_file, resolve
from movie_recs.data.sources.profile import Profile, profile_ratings
from movie_recs.data.sources.reading import column_names, find_encoding, read_rows, read_table, text_rows
from movie_recs.errors import UserError

PAIR = {"user": "u", "item": "i"}
CSV = {"ratings.csv", "movies.csv", "tags.csv", "links.csv"}


@pytest.fixture
def profiled(spark, tmp_path):
    """A function that profiles ratings with this content and description."""

    def profile(content: str, most_bad: float = 0.01, encoding: str = "utf-8", **description) -> Profile:
        (tmp_path / "scores.csv").write_bytes(content.encode(encoding))
        source = own(**description)
        rows = text_rows(read_table(spark, str(tmp_path), source, "ratings"), source, "ratings")
        return profile_ratings(rows, source, most_bad)

    return profile


def own(**changes):
    ratings = {"file": "scores.csv", "user": "reader", "item": "isbn", "rating": "score", "time": "at"}
    ratings |= changes.pop("ratings", {})
    ratings = {role: column for role, column in ratings.items() if column is not None}
    return resolve(SourceDescription.model_validate({"format": "csv", "ratings": ratings, **changes}), {"scores.csv"})


def table(*rows: str, header: str = "reader,isbn,score,at") -> str:
    return "\n".join([header, *rows, ""])


class TestLayouts:
    @pytest.mark.parametrize(
        ("files", "layout"),
        [
            (CSV, "csv"),
            ({"ratings.csv", "movies.csv"}, "csv"),
            ({"ratings.dat", "movies.dat", "users.dat"}, "::"),
            ({"u.data", "u.item", "u1.base"}, "u.data"),
            ({"ratings.csv", "items.csv"}, None),
        ],
    )
    def test_a_release_is_told_by_its_files(self, files, layout):
        assert find_layout(files) == layout

    def test_tables_whose_files_are_missing_are_left_out(self):
        found = resolve(SourceDescription(), CSV - {"tags.csv"}).description
        assert found.tags is None
        assert found.links == LAYOUTS["csv"].links

    def test_ml_1m_has_whole_stars_and_ml_10m_halves(self):
        one, ten = ({"ratings.dat", "movies.dat", more} for more in ("users.dat", "tags.dat"))
        assert resolve(SourceDescription(), one).description.scale.step == 1
        assert resolve(SourceDescription(), ten).description.scale.step == 0.5

    def test_other_files_need_a_description(self):
        with pytest.raises(UserError, match=r"no release of MovieLens: ratings\.csv and .*found: a\.csv"):
            resolve(SourceDescription(), {"a.csv"})

    def test_a_described_file_must_be_there(self):
        with pytest.raises(UserError, match=r"source\.ratings\.file is 'scores\.csv', which is not in .*found: none"):
            resolve(own().description, set())

    def test_the_test_set_of_a_given_split_is_found_by_its_name(self, tmp_path):
        for name in ("u1.base", "u1.test", "u2.base", "u2.test"):
            (tmp_path / name).touch()
        assert find_test_file(tmp_path, None) == "u1.test"
        assert find_test_file(tmp_path, "u2") == "u2.test"
        assert find_test_file(tmp_path, "u2.test") == "u2.test"
        with pytest.raises(UserError, match=r"has no test set 'u9' \(found: u1\.test, u2\.test\)"):
            find_test_file(tmp_path, "u9")


class TestDescriptions:
    @pytest.mark.parametrize(
        ("description", "said"),
        [
            ({"format": "csv"}, "ratings is missing"),
            ({"format": "movielens", "separator": ";"}, "leave separator out"),
            (
                {"format": "csv", "ratings": {"user": "u", "item": "i"}, "scale": {"least": 1, "most": 5}},
                "leave scale out",
            ),
            ({"format": "csv", "ratings": {**PAIR, "repeats": "sum"}}, "needs a rating column"),
            (
                {"format": "csv", "ratings": {**PAIR, "rating": "r", "repeats": "count"}},
                "leave rating out",
            ),
            (
                {
                    "format": "csv",
                    "ratings": {"user": "u", "item": "i", "rating": "r"},
                    "scale": {"least": 5, "most": 1},
                },
                "least must be below most",
            ),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, description, said):
        with pytest.raises(ValueError, match=said):
            SourceDescription.model_validate(description)


class TestReading:
    def rows(self, spark, tmp_path, source, content, name="ratings", encoding="utf-8"):
        (tmp_path / source.description.table(name).file).write_bytes(content.encode(encoding))
        return text_rows(read_table(spark, str(tmp_path), source, name), source, name)

    @pytest.mark.parametrize(
        ("options", "content"),
        [
            ({}, "at,score,isbn,reader\n2001-02-03,4.5,9-x,ann\n"),
            ({"separator": ";", "decimal": ","}, "reader;isbn;score;at\nann;9-x;4,5;2001-02-03\n"),
            ({"separator": "\t"}, "reader\tisbn\tscore\tat\nann\t9-x\t4.5\t2001-02-03\n"),
        ],
        ids=["any order", "semicolons", "tabs"],
    )
    def test_columns_are_found_by_their_names(self, spark, tmp_path, options, content):
        (row,) = self.rows(spark, tmp_path, own(**options), content).collect()
        assert row[:4] == ("ann", "9-x", "4.5", "2001-02-03")
        assert row["reason"] is None

    def test_columns_of_a_file_without_a_header_are_counted(self, spark, tmp_path):
        source = own(separator="::", header=False, ratings={"user": 2, "item": 1, "rating": 3, "time": None})
        (row,) = self.rows(spark, tmp_path, source, "9-x::ann::4.5::7\n").collect()
        assert row[:4] == ("ann", "9-x", "4.5", None)
        assert column_names(source, "ratings") == {"user": "column 2", "item": "column 1", "rating": "column 3"}

    def test_a_row_with_other_fields_has_a_reason(self, spark, tmp_path):
        rows = self.rows(spark, tmp_path, own(), table("ann,9-x,4.5,1", "ann,9-x", "ann,9-x,4.5,1,more")).collect()
        assert [row["reason"] for row in rows] == [None, "the row has not 4 fields", "the row has not 4 fields"]
        assert rows[1]["record"] == "ann,9-x"

    def test_a_line_of_very_many_fields_has_a_reason(self, spark, tmp_path):
        rows = self.rows(spark, tmp_path, own(), table("ann,9-x,4.5,1", "," * 25_000)).collect()
        assert [row["reason"] for row in rows] == [None, "the row has not 4 fields"]

    def test_a_row_like_the_header_is_a_row(self, spark, tmp_path):
        content = table("reader,isbn,score,at", "bob,isbn,score,at")
        assert self.rows(spark, tmp_path, own(), content).count() == 2

    def test_genres_come_from_a_list_in_text_a_list_in_json_or_flags(self, spark, tmp_path):
        source = resolve(
            SourceDescription.model_validate(
                {
                    **own().description.model_dump(),
                    "items": {"file": "items.csv", "item": "id", "genres": "kinds", "genre_separator": ", "},
                }
            ),
            {"scores.csv", "items.csv"},
        )
        content = 'id,kinds\na,"crime, noir"\nb,"[""war"",""drama""]"\nc,\n'
        rows = self.rows(spark, tmp_path, source, content, "items").collect()
        assert [row["genres"] for row in rows] == ["crime|noir", "war|drama", None]
        u_item = "1|Ann (1995)|01-Jan-1995||url|0|1|1" + "|0" * 15 + "|1"
        flags = self.rows(
            spark, tmp_path, resolve(SourceDescription(), {"u.data", "u.item"}), u_item, "items"
        ).collect()
        assert (flags[0]["title"], flags[0]["genres"]) == ("Ann (1995)", "Action|Adventure|Western")

    def test_parquet_and_json_are_text_too(self, spark, tmp_path):
        frame = spark.createDataFrame([(2**40, "x", 4.5)], "reader long, isbn string, score double")
        frame = frame.withColumn("at", F.timestamp_seconds(F.lit(86_400)))
        for kind in ("parquet", "json"):
            frame.write.format(kind).save(str(tmp_path / kind / "scores.csv"))
            source = own(format=kind)
            (row,) = text_rows(read_table(spark, str(tmp_path / kind), source, "ratings"), source, "ratings").collect()
            assert (row["user"], row["item"], row["rating"]) == (str(2**40), "x", "4.5")
            assert row["time"].startswith("1970-01-02")

    def test_times_in_nanoseconds_are_read_from_parquet(self, spark, tmp_path):
        table = pd.DataFrame(
            {"reader": ["ann"], "isbn": ["x"], "score": [4.5], "at": [pd.Timestamp("2015-01-01", tz="UTC")]}
        )
        table.astype({"at": "datetime64[ns, UTC]"}).to_parquet(tmp_path / "scores.csv")
        source = own(format="parquet")
        rows = text_rows(read_table(spark, str(tmp_path), source, "ratings"), source, "ratings")
        assert profile_ratings(rows, source, 0.0).time_unit == "nanoseconds"

    def test_what_is_no_parquet_file_is_refused(self, spark, tmp_path):
        with pytest.raises(UserError, match=r"^scores\.csv cannot be read as Parquet: "):
            self.rows(spark, tmp_path, own(format="parquet"), table("ann,9-x,4.5,1"))

    def test_a_missing_column_is_named_with_those_there_are(self, spark, tmp_path):
        with pytest.raises(UserError, match=r"scores\.csv has no column isbn; its columns are reader, book, score, at"):
            self.rows(spark, tmp_path, own(), table("a,b,1,1", header="reader,book,score,at"))

    def test_a_wrong_separator_is_named_with_the_right_one(self, spark, tmp_path):
        with pytest.raises(UserError, match=r"one column, 'reader;isbn;score;at', so it is not separated by ','"):
            self.rows(spark, tmp_path, own(), "reader;isbn;score;at\na;b;1;1\n")

    @pytest.mark.parametrize(("encoding", "found"), [("utf-8", "UTF-8"), ("iso-8859-1", "ISO-8859-1")])
    def test_the_encoding_is_found(self, spark, tmp_path, encoding, found):
        assert self.rows(spark, tmp_path, own(), table("zoë,é,4,1"), encoding=encoding).first()["user"] == "zoë"
        assert find_encoding(str(tmp_path / "scores.csv")) == found

    def test_the_first_rows_are_read_without_spark(self, tmp_path):
        (tmp_path / "scores.csv").write_text(table('ann,"a,b",4.5,1', "bob,c,3,2"))
        preview = read_rows(str(tmp_path), own(), "ratings", 1)
        assert preview == {
            "index": [0],
            "columns": ["reader", "isbn", "score", "at"],
            "data": [["ann", "a,b", "4.5", "1"]],
        }


class TestProfile:
    def test_integers_that_fit_are_their_own_numbers_and_other_ids_are_not(self, profiled):
        assert profiled(table("1,10,4,1", "2147483647,10,5,1"))[:2] == (True, True)
        assert profiled(table("1,a,4,1", "2147483648,10,5,1"))[:2] == (False, False)
        assert profiled(table("0,10,4,1"))[:2] == (False, True)
        assert profiled(table("007,10,4,1"))[:2] == (False, True)

    @pytest.mark.parametrize(
        ("times", "unit"),
        [
            (("1420070400", "1420070401"), "seconds"),
            (("1420070400000", "1420070401000"), "milliseconds"),
            (("1420070400000000", "1420070401000000"), "microseconds"),
            (("1420070400000000000", "1420070401000000000"), "nanoseconds"),
            (("2015-01-01T00:00:00Z", "2015-01-02"), "iso"),
            (("", ""), None),
        ],
    )
    def test_the_unit_of_times_is_found(self, profiled, times, unit):
        assert profiled(table(*(f"a,b,4,{time}" for time in times))).time_unit == unit

    @pytest.mark.parametrize(
        ("ratings", "scale"),
        [
            (("1", "7", "10"), Scale(1, 10, 1, 8)),
            (("0.5", "4", "5"), HALF_STARS),
            (("-10", "3.25", "10"), Scale(-10, 10, 0.25, 6)),
            (("0", "100"), Scale(0, 100, 1, 80)),
        ],
    )
    def test_a_scale_that_is_not_given_is_found(self, profiled, ratings, scale):
        assert profiled(table(*(f"a,b,{rating},1" for rating in ratings))).scale == scale

    def test_events_have_no_scale(self, profiled):
        assert profiled(table("a,b", header="reader,isbn"), ratings={"rating": None, "time": None}).scale is None
        assert profiled(table("a,b,17,1"), ratings={"repeats": "sum"}).scale is None

    def test_a_scale_that_too_many_ratings_break_is_refused_with_what_was_found(self, profiled):
        content = table(*["a,b,7,1"] * 98, "a,b,0,1", "a,b,11,1")
        scale = {"least": 1, "most": 10, "step": 1}
        assert profiled(content, most_bad=0.02, scale=scale).scale == Scale(1, 10, 1, 8)
        with pytest.raises(UserError) as error:
            profiled(content, scale=scale)
        assert str(error.value) == (
            "2.0% of the ratings in scores.csv are not on source.scale, 1, 2 ... 10 (as in '0'): they lie on "
            "{least: 0, most: 11, step: 1}. Correct source.scale, or raise data_processing.max_bad_rows."
        )

    def test_milliseconds_said_to_be_seconds_are_refused(self, profiled):
        with pytest.raises(UserError) as error:
            profiled(table("a,b,4,1420070400000"), ratings={"time_unit": "seconds"})
        assert str(error.value) == (
            "source.ratings.time_unit is seconds, but the times in scores.csv are numbers of milliseconds (as in "
            "'1420070400000'): write milliseconds, or leave time_unit out."
        )

    def test_ratings_that_are_no_numbers_are_refused_with_what_may_help(self, profiled):
        with pytest.raises(UserError, match=r"No rating in scores\.csv is a number: .* source\.decimal: ','"):
            profiled(table('a,b,"4,5",1'))

    def test_a_profile_is_the_same_from_a_file(self, profiled):
        profile = profiled(table("1,a,4,1"))
        assert Profile.of(profile.to_json()) == profile
