"""The HTML page in a real browser, opened as a file: loading, the explorer by mouse and keyboard, and its looks."""

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from report.browser import NEEDED, problems, requested, show, start
from report.pages import DATA, SCRIPT, make_content, make_figures, make_metrics
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from movie_recs.report import figures as plots
from movie_recs.report.page import render

pytestmark = NEEDED


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    models = make_metrics(DATA)["rating"]["models"]
    leaderboard = pd.DataFrame(make_metrics(DATA)["ranking"]["models"])
    bins = pd.DataFrame([("taste_als", "0", 3, 0.9), ("taste_als", "1", 3, 0.8)])
    bins.columns = ["model", "movie_ratings", "n", "rmse"]
    counts = pd.DataFrame([(1.0, 1.5, 2, 1.0, 0.5), (4.0, 3.5, 3, -1.5, 0.75)])
    counts.columns = ["rating", "predicted_stars", "rows", "error_sum", "squared_error_sum"]
    figures = {
        **make_figures(DATA),
        "ladder": plots.ladder(models, bins, DATA),
        "leaderboard": plots.leaderboard(leaderboard, DATA),
        "predictions": plots.predicted_against_actual(counts, DATA),
        "errors": plots.error_by_rating(counts, DATA),
    }
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(make_content(figures=figures)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start(str(tmp_path_factory.mktemp("chromium")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address) -> WebDriver:
    """The page as it is first opened, light and 1280 pixels wide; the browser must not log a warning or an error."""
    show(browser, "light", 1280)
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get(address)
    yield browser
    assert problems(browser) == []


def scroll_through(page: WebDriver) -> None:
    """Scrolls to each figure until it is drawn."""
    for place in page.find_elements(By.CSS_SELECTOR, ".plot"):
        page.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", place)
        WebDriverWait(page, 20).until(lambda _, place=place: place.find_elements(By.CSS_SELECTOR, ".main-svg"))


def search_box(page: WebDriver):
    return page.find_element(By.ID, "search")


def options_of(page: WebDriver) -> list[str]:
    return [option.text.split("\n")[0] for option in page.find_elements(By.CSS_SELECTOR, "#matches [role=option]")]


def found(page: WebDriver) -> tuple[str, list[str]]:
    """The heading and the titles that the explorer shows."""
    place = page.find_element(By.ID, "found")
    titles = [title.text for title in place.find_elements(By.CSS_SELECTOR, "li .title a")]
    return place.find_element(By.TAG_NAME, "h3").text, titles


def background(page: WebDriver) -> tuple[int, ...]:
    colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    return tuple(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


class TestLoading:
    def test_every_figure_is_drawn_without_a_network_request(self, page, address):
        scroll_through(page)
        assert len(page.find_elements(By.CSS_SELECTOR, ".plot .main-svg")) >= 7
        asked = requested(page)
        assert address in asked  # the log has requests at all
        assert {url.split(":")[0] for url in asked} <= {"file", "data", "about", "blob"}
        assert {url for url in asked if url.startswith("file:")} == {address}

    def test_a_script_as_a_title_is_shown_and_not_run(self, page):
        scroll_through(page)
        page.find_element(By.CSS_SELECTOR, "#recommendations a[href='#movie-5']").click()
        assert found(page)[0] == SCRIPT
        search_box(page).send_keys("script")
        assert options_of(page) == [SCRIPT]
        assert page.find_element(By.ID, "recommendations").text.count(SCRIPT) >= 3
        labels = [each.text for each in page.find_elements(By.CSS_SELECTOR, "#data .ytick")]
        assert SCRIPT in labels
        scripts = page.execute_script("return [...document.scripts].map(({textContent}) => textContent)")
        assert "alert(1)" not in scripts
        # An open alert would have failed each of these commands.

    def test_a_script_that_is_not_the_page_s_own_does_not_run(self, page):
        page.execute_script("""
            const script = document.createElement("script");
            script.textContent = "document.title = 'changed'";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<button onclick='document.title = 1' id='odd'>x</button>");
            document.getElementById("odd").click();
        """)
        assert page.title == "small: movie recommendations"
        refused = [entry["message"] for entry in page.get_log("browser")]
        assert len(refused) == 2
        assert all("Content Security Policy" in message for message in refused)

    def test_links_lead_to_imdb_and_tmdb(self, page):
        links = page.find_elements(By.CSS_SELECTOR, "#recommendations .person li:first-child .links a")
        assert [link.get_attribute("href") for link in links] == [
            "https://www.imdb.com/title/tt0110074/",
            "https://www.themoviedb.org/movie/11934",
        ]
        assert links[0].text.startswith("IMDb")


class TestExplorer:
    def test_a_user_is_found_by_typing_and_enter(self, page):
        box = search_box(page)
        box.send_keys("575")
        assert options_of(page) == ["User 575"]
        assert box.get_attribute("aria-expanded") == "true"
        assert box.get_attribute("aria-activedescendant") == "matches-0"
        box.send_keys(Keys.ENTER)
        assert found(page) == ("User 575", [SCRIPT, "Hudson's Amélie & Friends"])
        assert page.find_element(By.CSS_SELECTOR, "#found .stars").text.startswith("3.0")
        assert box.get_attribute("aria-expanded") == "false"
        assert page.current_url.endswith("#user-575")

    def test_a_movie_is_found_by_number_with_its_neighbours_and_links(self, page):
        search_box(page).send_keys("471", Keys.ENTER)
        assert found(page) == ("Hudsucker Proxy, The (1994)", ["Toy Story", "Hudson's Amélie & Friends"])
        place = page.find_element(By.ID, "found")
        assert [each.text for each in place.find_elements(By.CSS_SELECTOR, ".distance")] == [
            "distance 0.50",
            "distance 1.25",
        ]
        links = [link.get_attribute("href") for link in place.find_elements(By.CSS_SELECTOR, ".links a")]
        assert links == [
            *("https://www.imdb.com/title/tt0110074/", "https://www.themoviedb.org/movie/11934"),
            *("https://www.imdb.com/title/tt0114709/", "https://www.themoviedb.org/movie/862"),
            "https://www.imdb.com/title/tt0110000/",  # this movie has no TMDb id
        ]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("the hudsucker", ["Hudsucker Proxy, The (1994)"]),
            ("hudsons amelie", ["Hudson's Amélie & Friends (2001)"]),
            ("STORY toy", ["Toy Story (1995)"]),
            ("huds", ["Hudsucker Proxy, The (1994)", "Hudson's Amélie & Friends (2001)"]),  # the most rated first
            ("7", ["User 7"]),
            ("1", ["Toy Story (1995)", SCRIPT]),  # ids come before words
            ("no such movie", []),
            ("  ", []),
        ],
    )
    def test_titles_are_found_by_their_words(self, page, query, expected):
        search_box(page).send_keys(query)
        assert options_of(page) == expected

    def test_arrows_choose_enter_shows_and_escape_closes(self, page):
        box = search_box(page)
        box.send_keys("huds", Keys.ARROW_DOWN)
        selected = page.find_elements(By.CSS_SELECTOR, "#matches [aria-selected=true]")
        assert (
            [each.get_attribute("id") for each in selected]
            == ["matches-1"]
            == [box.get_attribute("aria-activedescendant")]
        )
        box.send_keys(Keys.ARROW_DOWN)  # wraps around to the first
        assert box.get_attribute("aria-activedescendant") == "matches-0"
        box.send_keys(Keys.ARROW_UP, Keys.ENTER)
        assert found(page)[0] == "Hudson's Amélie & Friends (2001)"
        box.clear()
        box.send_keys("toy", Keys.ESCAPE)
        assert not page.find_element(By.ID, "matches").is_displayed()
        assert box.get_attribute("value") == "toy"
        box.send_keys(Keys.ESCAPE)
        assert box.get_attribute("value") == ""

    def test_a_match_can_be_clicked_and_titles_are_links(self, page):
        search_box(page).send_keys("471")
        page.find_element(By.ID, "matches-0").click()
        page.find_element(By.CSS_SELECTOR, "#found li a[href='#movie-1']").click()
        WebDriverWait(page, 10).until(lambda _: found(page)[0] == "Toy Story (1995)")
        assert page.switch_to.active_element.text == "Toy Story (1995)"  # so that a screen reader continues there
        page.back()
        WebDriverWait(page, 10).until(lambda _: found(page)[0] == "Hudsucker Proxy, The (1994)")

    def test_an_address_opens_its_user_or_movie_or_a_message(self, page, address):
        for name, heading in (("user-7", "User 7"), ("movie-9", "Movie 9 is not in this explorer.")):
            page.get("about:blank")
            page.get(f"{address}#{name}")
            assert found(page)[0] == heading


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_phone_does_not_scroll_sideways(self, page, scheme):
        show(page, scheme, 360)
        scroll_through(page)
        search_box(page).send_keys("575", Keys.ENTER)
        width, inner = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width <= inner == 360

    def test_dark_mode_includes_the_figures(self, page):
        scroll_through(page)
        light, bar = background(page), self.bar_colour(page)
        show(page, "dark", 1280)
        WebDriverWait(page, 10).until(lambda _: self.bar_colour(page) != bar)
        assert min(light) > 200
        assert max(background(page)) < 60

    def test_print_is_light(self, page):
        show(page, "dark", 1280, "print")
        assert background(page) == (255, 255, 255)

    def test_heading_levels_are_not_skipped(self, page):
        search_box(page).send_keys("575", Keys.ENTER)
        levels = [int(each.tag_name[1]) for each in page.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4")]
        assert levels[0] == 1
        assert all(below - above <= 1 for above, below in pairwise(levels))

    def test_the_focused_element_is_outlined(self, page):
        page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        skip = page.switch_to.active_element
        assert skip.text == "Skip to the explorer"
        assert skip.rect["x"] >= 0
        skip.send_keys(Keys.TAB)
        style = page.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"

    @staticmethod
    def bar_colour(page: WebDriver) -> str:
        return page.find_element(By.CSS_SELECTOR, ".plot .point path").value_of_css_property("fill")
