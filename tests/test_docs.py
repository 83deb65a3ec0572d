"""The documentation is true: it builds without a warning, links lead somewhere, commands and code run.

Commands that would take long are cut short by `MEZE_DOCS_STEPS`, the transitions of a training that says
nothing of its length. Windows become recordings of a few steps; `meze play`, which waits for keys, and `meze
bench`, which measures for minutes, tell their flags.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import meze
import meze.agents.base
import meze.agents.sb3
import meze.envs.core
import pytest

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [
    path
    for path in (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
    if "_build" not in path.parts and path.name != "first-world.md"  # whose own test follows it
]
STEPS = os.environ.get("MEZE_DOCS_STEPS", "4096")
MEZE = """#!{python}
import sys
from meze.runners.cli import main
words = sys.argv[1:]
command, said = words[0], " ".join(words)
if command == "train" and not {{"--steps", "--generations", "--resume", "--help"}} & set(words):
    searcher = {{"genetic", "random-search", "cma-es", "neat"}} & set(words)
    words += ["--generations", "2", "--episodes", "1"] if searcher else ["--steps", "{steps}"]
    words += ["--eval-episodes", "8"]
if command == "evaluate" and "--episodes" not in words:
    words += ["--episodes", "8"]
if command == "watch" and "--record" not in words and "replays" not in words:
    words += ["--record", "watched.gif"]
if command == "watch" and "--steps" not in words and "replays" not in words:
    words += ["--steps", "3"]
if command in ("play", "bench"):
    words.append("--help")
sys.exit(main(words))
"""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Languages and texts of a page's code; those of `console` and `text` are only shown."""
    return re.findall(
        r"^```(sh|python)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_what_a_page_says_can_be_done(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "meze"
    program.parent.mkdir()
    program.write_text(MEZE.format(python=sys.executable, steps=STEPS))
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    home = tmp_path / "home"
    home.mkdir()
    for language, text in blocks(page):
        command = ["sh", "-e", "-c", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=home, env=os.environ | {"PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, text + done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", DOCS, out]
    done = subprocess.run([*command, "-d", out / ".doctrees"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


class Page(HTMLParser):
    """What a page names: anchors, links, and what a browser fetches to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.anchors |= {of[name] for name in ("id", "name") if name in of}
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        elif tag == "link" and of.get("rel") not in ("search", "index", "next", "prev", "canonical"):
            self.fetched.append(of.get("href", ""))
        elif "src" in of:
            self.fetched.append(of["src"])


def test_no_link_is_dead_and_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 20
    for path, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            if urlparse(address).scheme in ("http", "https", "mailto"):
                continue
            target = (path.parent / unquote(address)).resolve() if address else path
            assert target.is_file(), f"{path.name} links to {link}"
            assert not anchor or target not in pages or unquote(anchor) in pages[target].anchors, (
                f"{path.name}: {link} has no anchor"
            )
        for source in page.fetched:
            assert urlparse(source).scheme in ("", "data"), f"{path.name} fetches {source}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?https?:", style.read_text(encoding="utf-8")), style


@pytest.mark.parametrize("module", [meze, meze.envs.core, meze.agents.base, meze.agents.sb3])
def test_every_public_name_stands_in_the_reference(module, site: Path) -> None:
    from sphinx.util.inventory import InventoryFile

    with open(site / "objects.inv", "rb") as file:
        known = {name for kind in InventoryFile.load(file, "", os.path.join).values() for name in kind}
    names = getattr(module, "__all__", None) or [
        name
        for name, each in vars(module).items()
        if getattr(each, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
    assert len(names) > 1
    wanted = {f"{module.__name__}.{name}" for name in names if name != "__version__"}
    assert sorted(wanted - known) == []
