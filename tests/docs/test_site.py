"""The docs build as a site, without a warning, and show what the files say."""

import html
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FROM_ABOVE = {"index": ROOT / "README.md", "changelog": ROOT / "CHANGELOG.md"}
SOURCES = {path.stem: path for path in DOCS.glob("*.md")} | FROM_ABOVE
LISTED = ("ul", "ol", "li", "pre", "table", "tr", "h1", "h2", "h3", "h4")
LOADED = re.compile(r'<(?:script|img|link|iframe|source)\b[^>]*?\s(?:src|href|srcset)="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of MkDocs ends the build."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def article(site: Path, name: str) -> str:
    page = site / ("index.html" if name == "index" else f"{name}/index.html")
    return page.read_text("utf-8").split("<article", 1)[1].split("</article>", 1)[0]


def test_every_page_is_in_the_navigation() -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    names = [next(iter(entry.values())).removesuffix(".md") for entry in config["nav"]]
    assert sorted(names) == sorted(SOURCES)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [page.read_text("utf-8") for page in site.rglob("*.html")]
    styles = [sheet.read_text("utf-8") for sheet in site.rglob("*.css")]
    loaded = [address for page in pages for address in LOADED.findall(page)]
    loaded += [address for sheet in styles for address in re.findall(r"url\(([^)]*)\)", sheet)]
    assert loaded
    assert [one for one in loaded if re.match(r"[\"']?(?:https?:)?//", one)] == []


def test_what_a_page_loads_is_part_of_the_site(site: Path) -> None:
    lost = [
        f"{page.relative_to(site)}: {address}"
        for page in site.rglob("index.html")
        for address in LOADED.findall(page.read_text("utf-8"))
        if address and not (page.parent / address.split("#")[0].split("?")[0]).exists()
    ]
    assert lost == []


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_page_has_the_lists_tables_and_code_that_github_shows(site: Path, name: str) -> None:
    """The site reads Markdown less kindly: below an item it wants four blanks, and blank lines."""
    source = MarkdownIt("commonmark").enable("table").render(SOURCES[name].read_text("utf-8"))
    shown = article(site, name)

    def count(text: str) -> dict[str, int]:
        return {tag: len(re.findall(rf"<{tag}[ >]", text)) for tag in LISTED}

    assert count(shown) == count(source)
    assert not [word for word in re.findall(r"(?:src|href)=\"([^\"]*)\"", shown) if ".md" in word]
    assert "**" not in html.unescape(re.sub(r"<(code|pre)\b.*?</\1>", "", shown, flags=re.S))
