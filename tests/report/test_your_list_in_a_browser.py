"""The page's own list in a real browser: ratings by keyboard and from files, storage, filters, and its looks."""

import json

import pytest
from report.browser import NEEDED, problems, requested, show, start, write_page
from report.own_list import IDS, MOVIES, TEN, Listed, python_list
from report.pages import DATA, LISTS, NEIGHBOURS, USERS, make_content, make_metrics, make_models, make_side
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from data import exports
from movie_recs.data.parameters import FilterParameters
from movie_recs.ranking.compact import compact
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.report.explorer import index_explorer
from movie_recs.report.your_list import pack, unpack

pytestmark = NEEDED


@pytest.fixture(scope="module")
def packed() -> dict:
    return pack(make_models(IDS), FilterParameters(), DATA["name"])


@pytest.fixture(scope="module")
def address(tmp_path_factory, packed) -> str:
    explorer = index_explorer(MOVIES, USERS, LISTS.iloc[:0], NEIGHBOURS.iloc[:0], DATA)
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(path, make_content(explorer=explorer, your_list=packed))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start(str(tmp_path_factory.mktemp("chromium")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address) -> WebDriver:
    """The page as a new person opens it; nothing is asked for but the page, and the console stays empty."""
    show(browser, "light", 1280)
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.get("about:blank")
    browser.get_log("performance")
    open_page(browser, address)
    yield browser
    assert problems(browser) == []
    assert {url for url in requested(browser) if url.split(":")[0] not in ("data", "about", "blob")} == {address}


def open_page(browser: WebDriver, address: str) -> None:
    browser.get("about:blank")
    browser.get(address)
    WebDriverWait(browser, 20).until(lambda _: part(browser, "list").find_elements(By.TAG_NAME, "li"))


def part(page: WebDriver, name: str):
    return page.find_element(By.ID, f"own-{name}")


def rate(page: WebDriver, query: str, stars: float) -> None:
    """By keyboard alone."""
    part(page, "search").send_keys(query, Keys.ENTER)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT * round(stars / 0.5))


def shown(page: WebDriver) -> list[str]:
    return [each.text for each in part(page, "list").find_elements(By.CSS_SELECTOR, ".title a")]


def stored(page: WebDriver) -> dict[int, tuple[float, int]]:
    kept = page.execute_script("return localStorage.getItem('movie_recs: ratings of small')")
    return {movie: (stars, time) for movie, stars, time in json.loads(kept or "[]")}


def titles(ids: list[int]) -> list[str]:
    return MOVIES.set_index("movie_id")["title"].loc[ids].tolist()


def import_file(page: WebDriver, path, content: bytes) -> str:
    """Gives the page a file, and returns what it says."""
    path.write_bytes(content)
    page.execute_script("document.getElementById('own-loaded').textContent = ''")
    page.execute_script("document.querySelector('#your-list .files').open = true")
    part(page, "file").send_keys(str(path))
    WebDriverWait(page, 10).until(lambda _: part(page, "loaded").text)
    return part(page, "loaded").text


def left_out(page: WebDriver) -> list[tuple[str, str]]:
    page.execute_script("for (const each of document.querySelectorAll('#own-loaded details')) each.open = true")
    rows = part(page, "loaded").find_elements(By.TAG_NAME, "li")
    return [
        (
            row.text.removesuffix(row.find_element(By.TAG_NAME, "span").text).strip(),
            row.find_element(By.TAG_NAME, "span").text,
        )
        for row in rows
    ]


class TestRatings:
    def test_ten_movies_by_keyboard_give_python_s_list_which_a_reload_keeps(self, page, packed, address):
        page.find_element(By.ID, "own-search").click()
        for movie, stars in TEN.items():
            rate(page, titles([movie])[0], stars)
        expected = python_list(unpack(packed, IDS), stored(page))
        assert {movie: stars for movie, (stars, _) in stored(page).items()} == TEN
        self.check(page, expected)
        open_page(page, address)
        self.check(page, expected)
        assert part(page, "count").text == "Your ratings (10)"

    @staticmethod
    def check(page: WebDriver, expected: Listed) -> None:
        assert shown(page) == titles(expected.ids)
        rows = part(page, "list").find_elements(By.TAG_NAME, "li")
        assert [float(row.get_attribute("data-score")) for row in rows] == pytest.approx(expected.scores, abs=1e-3)
        stars = [float(row.find_element(By.CLASS_NAME, "stars").text.split()[0]) for row in rows]
        assert stars == pytest.approx(expected.stars, abs=0.051)
        for row, because in zip(rows, expected.because, strict=True):
            text = "".join(each.text for each in row.find_elements(By.CLASS_NAME, "because"))
            assert text.count("%") == len(because)
            assert all(title in text for title in titles(because))

    @pytest.mark.parametrize("query", ["The Fifth Element", "Fifth Element, The", "fifth elem"])
    def test_a_movie_is_found_with_its_article_in_front_or_behind(self, page, query):
        part(page, "search").send_keys(query, Keys.ENTER)
        assert page.switch_to.active_element.get_attribute("aria-label") == "Stars for The Fifth Element (1997)"

    def test_a_star_can_be_clicked_and_a_rating_removed(self, page):
        part(page, "search").send_keys("toy story", Keys.ENTER)
        page.execute_script(
            """
            const glyphs = document.querySelector("#own-ratings .glyphs"), box = glyphs.getBoundingClientRect();
            const at = { clientX: box.left + 0.75 * box.width, clientY: box.top + 5, bubbles: true, pointerId: 1 };
            glyphs.setPointerCapture = () => {};
            glyphs.dispatchEvent(new PointerEvent("pointerdown", { ...at, buttons: 1, cancelable: true }));
            """
        )
        assert [stars for stars, _ in stored(page).values()] == [4.0]
        page.find_element(By.CSS_SELECTOR, "#own-ratings button").click()
        assert stored(page) == {}
        assert part(page, "about").text.startswith("Popular of late")

    def test_forget_me_forgets(self, page, address):
        rate(page, "toy story", 4)
        page.execute_script("document.querySelector('#your-list .files').open = true")
        part(page, "forget").click()
        page.switch_to.alert.dismiss()
        assert len(stored(page)) == 1
        part(page, "forget").click()
        page.switch_to.alert.accept()
        assert page.execute_script("return localStorage.length") == 0
        open_page(page, address)
        assert part(page, "count").text == "Your ratings"

    def test_filters_are_those_of_recommend(self, page, packed):
        rate(page, "toy story", 4)
        page.find_element(By.CSS_SELECTOR, "#your-list .card summary").click()
        comedy, drama = (page.find_element(By.XPATH, f"//button[text()='{genre}']") for genre in ("Comedy", "Drama"))
        for name, value in (("first", 1960), ("last", 1990), ("least", 15)):
            part(page, name).send_keys(str(value))
        comedy.click()
        limits = {"first_year": 1960, "last_year": 1990, "min_ratings": 15}
        for filters in ({"genres": ["Comedy"]}, {"without_genres": ["Comedy"]}):
            expected = python_list(unpack(packed, IDS), stored(page), FilterParameters(**limits, **filters))
            assert shown(page) == titles(expected.ids)
            comedy.click()
        drama.click()
        assert part(page, "filtered").text == "Drama · from 1960 · to 1990 · 15+ ratings"


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "content", "stars", "left"),
        [
            ("imdb.csv", exports.IMDB.encode(), exports.FROM_IMDB, exports.LEFT_OF_IMDB),
            ("bom.csv", exports.IMDB.encode("utf-8-sig"), exports.FROM_IMDB, exports.LEFT_OF_IMDB),
            ("letterboxd.csv", exports.LETTERBOXD.encode(), exports.FROM_LETTERBOXD, exports.LEFT_OF_LETTERBOXD),
            ("user.zip", exports.zipped(exports.LETTERBOXD), exports.FROM_LETTERBOXD, exports.LEFT_OF_LETTERBOXD),
            (
                "ratings.csv",
                b"userId,movieId,rating,timestamp\r\n1,1,5,10\r\n1,99,4,11\r\n1,3,six,12\r\n1,5,5.5,13\r\n1,6,2,-1\r\n",
                {1: 5.0},
                [
                    ("99", "no movie here has this id"),
                    ("3", "six is not on the scale"),
                    ("5", "5.5 is not on the scale"),
                    ("6", "its time is no number of seconds"),
                ],
            ),
        ],
    )
    def test_rows_are_matched_as_in_python_and_the_others_listed(self, page, tmp_path, name, content, stars, left):
        said = import_file(page, tmp_path / name, content)
        assert said.startswith(f"{name}: {len(stars)} of {len(stars) + len(left)} ratings from ")
        assert {movie: given for movie, (given, _) in stored(page).items()} == stars
        assert left_out(page) == left

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (exports.zipped(exports.LETTERBOXD, "other.csv"), "there is no ratings.csv in it."),
            (exports.zipped(exports.LETTERBOXD)[:300], "it is no complete zip archive."),
            (b"a,b\n1,2\n", "it has none of the headers of IMDb's"),
            (b"", "it has none of the headers of IMDb's"),
        ],
    )
    def test_a_file_that_is_none_of_them_is_one_sentence(self, page, tmp_path, content, said):
        assert import_file(page, tmp_path / "odd.zip", content).startswith(f"odd.zip cannot be read: {said}")
        assert stored(page) == {}

    def test_the_export_is_a_file_that_can_be_imported(self, page, tmp_path):
        rate(page, "toy story", 4)
        rate(page, "quoted", 2.5)
        before, file = stored(page), tmp_path / "my_ratings.csv"
        folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
        page.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
        page.execute_script("document.querySelector('#your-list .files').open = true")
        part(page, "export").click()
        WebDriverWait(page, 10).until(lambda _: file.exists() and file.stat().st_size)
        text = file.read_text(encoding="utf-8")
        assert text.startswith("movieId,rating,timestamp\n1,4,")
        page.execute_script("localStorage.clear()")
        import_file(page, file, text.encode())
        assert stored(page) == before


class TestEvents:
    def test_a_movie_counts_without_stars(self, browser, tmp_path):
        data, rule = {**DATA, "scale": None}, PreferenceRule(0, 4, "all", RatingWeights())
        models = compact(make_side(rule, IDS, 0.0, seed=4), None, ease_rank=4)
        metrics, nothing = make_metrics(data), {kind: [] for kind in ("users", "new_users", "movies", "unknown")}
        del metrics["rating"]
        content = make_content(
            data=data,
            metrics=metrics,
            lists=nothing,
            explorer=index_explorer(MOVIES, USERS, LISTS.iloc[:0], NEIGHBOURS.iloc[:0], data),
            your_list=pack(models, FilterParameters(), "events"),
        )
        open_page(browser, write_page(tmp_path / "report.html", content))
        assert part(browser, "about").text.startswith("Popular of late")
        part(browser, "search").send_keys("toy story", Keys.ENTER, "fifth element", Keys.ENTER)
        assert part(browser, "about").text == "From your 2 ratings."
        assert shown(browser) == titles(python_list(models, {1: (1.0, 1), 11: (1.0, 2)}).ids)
        assert not browser.find_elements(By.CSS_SELECTOR, "#your-list .stars, #own-ratings input")
        part(browser, "search").send_keys("no such movie", Keys.ENTER)
        browser.find_element(By.CSS_SELECTOR, "#own-ratings button").click()
        assert part(browser, "about").text == "From your 1 rating."
        assert problems(browser) == []


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_phone_does_not_scroll_sideways(self, page, scheme, tmp_path):
        show(page, scheme, 360)
        import_file(page, tmp_path / "imdb.csv", exports.IMDB.encode())
        rate(page, "fifth element", 4)
        for each in page.find_elements(By.CSS_SELECTOR, "#your-list summary"):
            page.execute_script("arguments[0].parentElement.open = true", each)
        width, inner = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width <= inner == 360

    def test_everything_can_be_reached_by_tab(self, page):
        rate(page, "toy story", 4)
        page.execute_script("for (const each of document.querySelectorAll('#your-list details')) each.open = true")
        wanted = set(page.execute_script(
            "return [...document.querySelectorAll('#your-list :is(input, button:enabled, summary)')]"
            ".filter((each) => !each.hidden).map((each) => each.outerHTML)"
        ))  # fmt: skip
        part(page, "search").click()
        reached = set()
        for _ in range(len(wanted) + 1):
            reached.add(page.execute_script("return document.activeElement.outerHTML"))
            ActionChains(page).send_keys(Keys.TAB).perform()  # a file's box takes keys for paths
        assert wanted <= reached
