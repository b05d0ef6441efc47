"""The site's pages that are not in this folder: README.md is where it starts, and CHANGELOG.md."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}
# [docs/security.md](docs/security.md#keys) leads to [Security](security.md#keys) here.
NAMED = re.compile(r"\[docs/([\w-]+)\.md\]\(")
INTO_THIS_FOLDER = re.compile(r'(?<=\]\()docs/|(?<=")docs/')


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages, with links that fit their new place."""
    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=as_page(text)))
    return files


def as_page(text: str) -> str:
    """A text of the folder above, with its links as seen from here."""
    named = NAMED.sub(lambda found: f"[{found[1].replace('-', ' ').capitalize()}](", text)
    return INTO_THIS_FOLDER.sub("", named)
