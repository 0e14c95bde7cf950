"""Files as IMDb and Letterboxd write them, and what becomes of each row, for tests in Python and in a browser."""

import io
import zipfile

IMDB = """\
Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres,Num Votes
tt0114709,9,2024-03-01,Toy Story,Toy Story,https://www.imdb.com/title/tt0114709/,Movie,8.3,81,1995,Animation,1
tt0133093,7,2024-03-02,"The, Matrix",The Matrix,https://www.imdb.com/title/tt0133093/,Movie,8.7,136,1999,Sci-Fi,1
tt0047437,1,2024-03-03,Sabrina,Sabrina,https://www.imdb.com/title/tt0047437/,Movie,7.6,113,1954,Comedy,1
tt9999999,8,2024-03-04,Untied,Untied,https://www.imdb.com/title/tt9999999/,Movie,7.6,113,2002,Comedy,1
tt9999998,8,2024-03-04,Toy Story,Toy Story,https://www.imdb.com/title/tt9999998/,Movie,7.6,113,1995,Comedy,1
tt0234215,,2024-03-04,The Matrix Reloaded,,https://www.imdb.com/title/tt0234215/,Movie,7.6,113,2003,Comedy,1
tt0234215,11,2024-03-04,The Matrix Reloaded,,https://www.imdb.com/title/tt0234215/,Movie,7.6,113,2003,Comedy,1
"""
LETTERBOXD = """\
Date,Name,Year,Letterboxd URI,Rating
2023-01-05,Toy Story,1995,https://boxd.it/1,4.5
2023-01-06,Adventure,1960,https://boxd.it/2,3
2023-01-07,Sabrina,1955,https://boxd.it/3,2
2023-01-08,Twice,2001,https://boxd.it/4,2
2023-01-09,"Matrix",1999,https://boxd.it/5,0.5
2023-01-10,The Adventure,1960,https://boxd.it/6,3.5
"""
MOVIES = [  # movie_id, title, year, imdb_id
    (1, "Toy Story", 1995, "0114709"),
    (3, "Matrix, The", 1999, "0133093"),
    (4, "Matrix Reloaded, The", 2003, "0234215"),
    (5, "Sabrina", 1954, "0047437"),
    (6, "Sabrina", 1995, "0114319"),
    (7, "Untied", 2002, None),
    (8, "Twice", 2001, None),
    (9, "Avventura, L' (Adventure, The)", 1960, "0053619"),
    (10, "Twice", 2001, "0000010"),
]
FROM_IMDB = {1: 4.5, 3: 3.5, 5: 0.5, 7: 4.0}  # stars by movie_id
LEFT_OF_IMDB = [
    ("Toy Story (1995)", "not among the movies here"),
    ("The Matrix Reloaded (2003)", "it has no rating"),
    ("The Matrix Reloaded (2003)", "11 is not on the scale"),
]
FROM_LETTERBOXD = {1: 4.5, 9: 3.5}  # of the latter a title in brackets is found
LEFT_OF_LETTERBOXD = [
    ("Adventure (1960)", "not among the movies here"),
    ("Sabrina (1955)", "not among the movies here"),
    ("Twice (2001)", "2 movies have this title and year"),
    ("Matrix (1999)", "not among the movies here"),
]


def zipped(text: str, name: str = "ratings.csv") -> bytes:
    """An archive as Letterboxd's, with this file in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("watched.csv", "Date,Name,Year,Letterboxd URI\n")
        archive.writestr("deleted/ratings.csv", "Date,Name,Year,Letterboxd URI,Rating\n")
        archive.writestr(name, text)
    return buffer.getvalue()
