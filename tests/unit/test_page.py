"""The page of a study: whole in one file, and alive in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import sextant

pytest.importorskip("plotly", reason="the page needs the extra html")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--window-size=1400,1400",
    "--enable-unsafe-swiftshader",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(write_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small study, one of whose machines cannot be built."""
    home = tmp_path_factory.mktemp("page")
    study = write_study(home, machine="[machine]\nrows = [4, 8]\ncolumns = [4, 8]\nwbuf_bytes = [128, 65536]")
    assert sextant("cosearch", study, "--out", home / "out").code == 0
    ran = sextant("report", home / "out", "--no-validate")
    assert ran.code == 0, ran
    assert ran.out == f"wrote {home / 'out' / 'report.html'}\n"
    return home / "out" / "report.html"


@pytest.fixture(scope="module")
def data(page: Path) -> dict[str, Any]:
    """What the page knows."""
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(encoding="utf-8"), re.S
    )
    assert found
    knowledge: dict[str, Any] = json.loads(found.group(1))
    return knowledge


def test_the_page_is_whole(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    ours = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.findall(r"(?:src|href)=\"(?!data:)", ours)
    assert "{{" not in ours


def test_every_point_is_in_it(data: dict[str, Any]) -> None:
    assert len(data["designs"]) + data["failures"] == 40
    assert data["failures"] == len(data["failed"]) > 0
    assert all(len(column) == len(data["designs"]) for column in (*data["values"].values(), *data["knobs"].values()))
    assert data["chosen"] in data["front"]


def test_a_front_design_says_where_its_time_goes_and_how_to_have_it_again(data: dict[str, Any]) -> None:
    detail = data["details"][str(data["chosen"])]
    spent = sum(map(sum, detail["stack"].values()))
    assert spent == pytest.approx(data["values"]["seconds"][data["chosen"]], rel=1e-4)
    program, *arguments = detail["command"].split()
    assert program == "sextant"
    report = json.loads(sextant(*arguments, "--json").out)
    assert report["seconds"] * 1e3 == pytest.approx(data["values"]["seconds"][data["chosen"]], rel=1e-5)


def test_a_study_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    ran = sextant("report", tmp_path)
    assert (ran.code, ran.err.count("\n")) == (4, 1)


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser that shows the page."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs chromium and chromedriver")
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(60)
    driver.get(page.as_uri())
    drawn = "return document.body.dataset.drawn === 'all'"
    WebDriverWait(driver, 60).until(lambda shown: shown.execute_script(drawn))
    yield driver
    driver.quit()


def test_the_page_opens_without_an_error(browser: Any) -> None:
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return document.querySelectorAll('.plot .main-svg').length") >= 5


def test_a_click_on_a_point_shows_its_design(browser: Any, data: dict[str, Any]) -> None:
    other = next(row for row in data["front"] if row != data["chosen"])
    browser.execute_script(
        "document.getElementById('front').emit('plotly_click', {points: [{customdata: arguments[0]}]})", other
    )
    assert browser.find_element("id", "design").text == f"Design {data['designs'][other]}"
    assert browser.find_element("id", "command").text == data["details"][str(other)]["command"]


def test_a_range_of_an_axis_filters_the_front(browser: Any, data: dict[str, Any]) -> None:
    shown = "return document.getElementById('front').data.find((trace) => trace.name === 'front').x.length"
    assert browser.execute_script(shown) == len(data["front"])
    browser.execute_async_script(
        "const done = arguments[0], axis = document.getElementById('parallel').data[0].dimensions[0];"
        "const low = Math.min(...axis.values), high = Math.max(...axis.values);"
        "Plotly.restyle('parallel', {'dimensions[0].constraintrange': [[low, (low + high) / 2]]}).then(() => done())"
    )
    assert 0 < browser.execute_script(shown) < len(data["front"])


def test_only_the_front_can_be_shown(browser: Any) -> None:
    traces = "return document.getElementById('front').data.length"
    before = browser.execute_script(traces)
    browser.find_element("id", "only-front").click()
    assert browser.execute_script(traces) == before - 1


def test_the_page_is_drawn(browser: Any) -> None:
    picture = browser.get_screenshot_as_png()
    assert len(picture) > 20_000


def test_what_is_not_installed_is_said_before_anything_is_compared(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchers.pictures.page.find_spec", lambda package: None)
    monkeypatch.setattr("sextant.validate.rows_of", lambda machine: pytest.fail("compared"))
    ran = sextant("report", page.parent)
    assert ran == (2, "", "sextant: report: plotly is not installed, need pip install 'sextant[html]'\n")
