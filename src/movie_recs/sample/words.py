"""Invented genres, titles and tags for the synthetic sample: word lists, and how they are combined."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")

# fmt: off
GENRES = {  # weight as the leading genre, genres it mixes with, title templates
    "Action": (13, "Adventure Crime Sci-Fi Thriller", (
        "Maximum {thing}", "The {place} Protocol", "Run, {name}, Run", "{mood} Strikes Twice",
        "Born to {verb}")),
    "Adventure": (6, "Action Children Fantasy", (
        "{name} and the {adj} {thing}", "The Quest for the {adj} {thing}", "To {place} by {thing}")),
    "Animation": (5, "Adventure Children Comedy Fantasy", (
        "{name} the {animal}", "The Little {animal} Who Could {verb}", "{animal}s in Space")),
    "Children": (3, "Animation Comedy Fantasy", (
        "My Teacher, the {animal}", "Free {name} the {animal}!", "The {thing} in the Attic")),
    "Comedy": (24, "Romance Drama Crime Musical", (
        "Meet the {job}s", "There's a {animal} in My {thing}", "My Big {place} Divorce",
        "{name} Gets Promoted", "Never {verb} with a {job}", "Dude, That's My {thing}",
        "Two {job}s and a {animal}")),
    "Crime": (6, "Drama Thriller Mystery", (
        "The {place} Job", "{number} {adj} {job}s", 'The "{thing}" Murders', "{name}, Without a Warrant")),
    "Documentary": (4, "War", (
        "A History of {thing}s", "The Secret Life of {job}s", "Who Invented the {thing}?")),
    "Drama": (26, "Romance Comedy War Crime Mystery", (
        "The {job} of {place}", "{mood} in {place}", "The Weight of {mood}", "What {name} Knew",
        "All the {adj} {job}s", "A Season of {mood}", "Mrs. {name}'s {thing}", "Letters to {name}",
        "Waiting for {name} (En attendant {name})", "The Road to {place} (Strada per {place}, La)")),
    "Fantasy": (2, "Adventure Children Romance", (
        "The {animal} King's {thing}", "{name} and the Chalice of {mood}")),
    "Film-Noir": (1, "Crime Mystery Thriller", (
        "Kiss Me, {job}", "The {adj} Alibi", "{place} After Midnight")),
    "Horror": (7, "Thriller Mystery Sci-Fi Comedy", (
        "The {thing} That Screamed", "Night of the {adj} {animal}s", "Don't Open the {thing}",
        "{mood} Has Teeth", "Return of the {job}", "I Know Who Ate Your {animal}")),
    "Musical": (1, "Comedy Romance", (
        "{name}!", "Yodeling in {place}", "Dance, {job}, Dance")),
    "Mystery": (2, "Crime Thriller Horror", (
        "The Case of the {adj} {thing}", "{name} Vanishes", "What the {job} Saw")),
    "Romance": (5, "Comedy Drama", (
        "Love in the Time of {thing}s", "{place}, Maybe", "The {job}'s {adj} Heart",
        "Good Morning, {name} (Buenos días, {name})")),
    "Sci-Fi": (4, "Action Adventure Thriller", (
        "Planet of the {job}s", "{name} 3000", "Attack of the {adj} {thing}s", "The {mood} Paradox")),
    "Thriller": (8, "Crime Drama Action Horror", (
        "The {animal} Conspiracy", "{mood} Rising", "Trust No {job}", "{number} Days in {place}")),
    "War": (2, "Drama Action", (
        "{number} Miles to {place}", "The Battle for {thing} Hill", "Private {name}")),
    "Western": (1, "Action Drama", (
        "The Good, the {adj} and the {job}", "{name} Rides Alone")),
}
WORDS = {slot: words.split() for slot, words in {
    "name": "Agnes Björn Boris Cosima Dmitri Edith Fergus Gwendolyn Horace Ingrid Jasper Klaus Mortimer "
            "Nadine Ottoline Priscilla Quentin René Rosalind Sven Thelma Ursula Vernon Winifred Zoë",
    "animal": "Badger Beaver Ferret Goat Hamster Hedgehog Heron Llama Lobster Mole Newt Penguin Walrus",
    "place": "Antwerp Bratislava Düsseldorf Gdańsk Kalamazoo Málaga Minsk Omaha Peoria Reykjavík Tulsa",
    "thing": "Bagpipe Bathtub Cardigan Casserole Doorbell Harpsichord Ladder Lawnmower Parsnip Photocopier "
             "Teapot Toaster Trombone Typewriter Wardrobe Wheelbarrow",
    "job": "Baker Beekeeper Butler Chiropodist Dentist Ghostwriter Librarian Locksmith Mapmaker Plumber "
           "Referee Sommelier Typist Ventriloquist",
    "adj": "Awkward Backward Borrowed Crooked Electric Forgotten Golden Hollow Immaculate Invisible Last "
           "Lukewarm Reluctant Restless Second-Hand Silent Unlikely Velvet",
    "mood": "Custard Dust Fog Gravity Jeopardy Marmalade Mercy Nonsense Oblivion Regret Silence Tuesday",
    "verb": "Apologize Blink Haggle Knit Tango Unionize Whisper Yodel",
    "number": "Three Four Five Six Seven Nine Eleven Thirteen Forty",
}.items()}
SEQUELS = (" II", " III", ": The Reckoning", " Returns", " 2: The Paperwork")
TAGS = ("atmospheric", "twist ending", "funny", "too long", "cult classic", "seen at the cinema",
        "slow, but worth it", "needs more goats", "Quirky", "fell asleep", '"so bad it\'s good"')
# fmt: on


def draw_genres(rng: np.random.Generator, leading: np.ndarray) -> np.ndarray:
    """(movies, genres) bool: the leading genre and some that it mixes with; one movie in a hundred has none."""
    mixes = np.array([[genre in others.split() for genre in GENRES] for _, others, _ in GENRES.values()])
    has_genre = mixes[leading] & (rng.random((len(leading), len(GENRES))) < 0.35)
    has_genre[np.arange(len(leading)), leading] = True
    has_genre[rng.random(len(leading)) < 0.01] = False
    return has_genre


def draw_titles(rng: np.random.Generator, year: np.ndarray, leading: np.ndarray) -> list[str]:
    """Unique titles, as GroupLens writes them: the article last, then the year, which a few lack."""
    templates = [titles for _, _, titles in GENRES.values()]
    taken: dict[str, None] = {}  # an ordered set
    draws = rng.random((len(year), 3 + len(WORDS))).tolist()
    for its_year, genre, (which, sequel, yearless, *picks) in zip(year, leading, draws, strict=True):
        words = {slot: pick(pool, draw) for (slot, pool), draw in zip(WORDS.items(), picks, strict=True)}
        name, bracket, original = pick(templates[genre], which).format(**words).partition(" (")
        article, _, rest = name.partition(" ")
        name, article = (rest, f", {article}") if article in ("The", "A") else (name, "")
        name += pick(SEQUELS, sequel / 0.04) if sequel < 0.04 else ""
        ending = article + bracket + original + ("" if yearless < 0.01 else f" ({its_year})")
        title, part = name + ending, 2
        while title in taken:
            title, part = f"{name} {part}{ending}", part + 1
        taken[title] = None
    return list(taken)


def pick(choices: Sequence[Choice], draw: float) -> Choice:
    """The element at the fraction `draw`, in [0, 1), of the choices."""
    return choices[int(draw * len(choices))]
