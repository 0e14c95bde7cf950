"""Corrupted rows of all four files are clean or set aside with the right reason, as an independent parse has it."""

import time

import pytest
from fuzz import oracle, rows
from fuzz.comparison import TABLES, collected, compare, in_order, parsed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

ROWS = 2_500  # of each file, with each seed


@pytest.mark.parametrize("seed", [1, 5])  # the latter makes files in Latin-1
def test_corrupted_rows_are_clean_or_set_aside_with_the_right_reason(spark, tmp_path, seed):
    contents = {file: rows.corrupted_file(seed, file, ROWS)[0] for file in oracle.HEADERS}
    differences, counts = compare(spark, tmp_path, contents)
    assert differences == []
    assert {file for file, reason in counts if reason == "clean"} == set(TABLES)
    assert len(counts) > 30  # nearly every reason there is


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")
FIELDS = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.text('0123456789 .+-eE,"|()\u2028', max_size=12),
    st.sampled_from(rows.ODD_TEXTS),
    st.integers(1, 40).map(str),
    st.floats(0, 6).map(str),
)


def files(file: str) -> st.SearchStrategy[bytes]:
    """Files of lines of any fields, or of any text, below a good header."""
    header = ",".join(oracle.HEADERS[file])
    width = len(oracle.HEADERS[file])
    lines = st.one_of(
        st.lists(FIELDS, min_size=width, max_size=width).map(rows.written),
        st.lists(FIELDS, max_size=width + 2).map(",".join),
        st.text(CHARACTERS, max_size=30),
    )
    return st.lists(lines, min_size=40, max_size=60).map(lambda written: "\n".join([header, *written]).encode())


@given(contents=st.fixed_dictionaries({file: files(file) for file in oracle.HEADERS}))
@settings(
    max_examples=2,  # each is eight Spark jobs, hence not shrunk either: the rows that differ are small
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_rows_of_any_text_are_clean_or_set_aside_with_the_right_reason(spark, tmp_path_factory, contents):
    differences, _ = compare(spark, tmp_path_factory.mktemp("rows"), contents)
    assert differences == []


@pytest.mark.parametrize("file", ["ratings", "movies", "links"])  # all patterns that there are
def test_rows_of_any_length_are_read_in_linear_time(spark, tmp_path, file):
    lines = rows.longest_rows(file).values()
    content = b"\n".join([",".join(oracle.HEADERS[file]).encode(), *lines])
    (tmp_path / f"{file}.csv").write_bytes(content)
    started = time.perf_counter()
    found = collected(file, parsed(spark, tmp_path, file))
    assert time.perf_counter() - started < len(lines)  # a second a row; one pattern of quadratic time takes minutes
    assert in_order(file, found, oracle.parse(file, content)) == []


def test_the_oracle_knows_what_a_person_would_say():
    """A few rows by hand, so that not both are wrong together."""
    content = 'movieId,title,genres\n1,Heat (1995)\u2028, Drama |Drama|\n2,,Drama\n\n3,"A, B",x,\nx,M,Drama\n'.encode()
    assert [(row.reason, row.values) for row in oracle.parse("movies", content)] == [
        (None, (1, "Heat", 1995, ("Drama",))),
        ("title is missing", ()),
        ("the row has not 3 fields", ()),
        ("movieId is not a whole number", ()),
    ]
    assert [
        row.reason for row in oracle.parse("ratings", b"userId,movieId,rating,timestamp\n1,2,4.5,0\n1,2,4.6,0")
    ] == [
        None,
        "rating is not one of 0.5, 1.0 ... 5.0",
    ]
