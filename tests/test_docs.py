# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows is what happens: its commands and code run, and their output is compared.

A fenced block whose info string is `bash run` or `python run` is run, in the order of the page, in one temporary folder. A `text`
block right after it is its output, where a line `…` stands for any lines and `…` within a line for any text. A page that has
such blocks goes on where the English tutorial ends. A block that is just `python` stands alone and runs in an empty folder; other
blocks (`sh`, `yaml`) are shown only.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from mangrove.cli import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TUTORIAL, TUTORIAL_VI = (
    DOCS / "tutorials" / name for name in ("first-park.md", "khu-cong-nghiep-dau-tien.md")
)
PAGES = sorted(DOCS.rglob("*.md"))
FRONT = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
READ = [
    *PAGES,
    *FRONT,
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt)/|[A-Z]:\\")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, whether it is run, its text, its line in the page, and the output that the page shows."""

    language: str
    run: bool
    code: str
    line: int
    output: str | None


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page; a `text` block belongs to the block before it."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        if language == "text" and found and found[-1].run and found[-1].output is None:
            last = found.pop()
            found.append(Block(last.language, last.run, last.code, last.line, match["body"]))
        else:
            found.append(Block(language, rest.strip() == "run", match["body"], line, None))
    return found


class Reader:
    """Someone who types what a page says into one shell, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "desk"
        self.state = folder / "environment"
        self.folder.mkdir(exist_ok=True)
        tools = Path(sys.executable).parent
        self.environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC",
        }  # fmt: skip

    def types(self, block: Block) -> str:
        """Runs a block and gives what the screen shows; the block must end well."""
        if block.language == "python":
            command = [sys.executable, "-W", "error", "-c", block.code]
        else:
            known = f". '{self.state}'\n" if self.state.exists() else ""
            script = f"{known}set -aeuo pipefail\n{block.code}\nset +aeu\nexport -p > '{self.state}'\n"
            command = ["bash", "-c", script]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"ends with {done.returncode}:\n{block.code}\n{done.stdout}"
        return done.stdout

    def follows(self, page: Path) -> None:
        """Runs every block of a page and compares what it prints with what the page shows."""
        for block in blocks_of(page):
            if not block.run:
                continue
            shown = self.types(block)
            if block.output is not None:
                assert matches(block.output, shown), (
                    f"{name_of(page)}:{block.line}: the page shows\n{block.output}\nbut it prints\n{shown}"
                )


def matches(expected: str, shown: str) -> bool:
    """Whether the output is the expected one, where `…` is any text within a line, or any lines."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n"
    return re.fullmatch(pattern, shown.rstrip("\n") + "\n") is not None


@pytest.fixture(scope="module")
def after_tutorial(tmp_path_factory):
    """The folder as the English tutorial leaves it."""
    folder = tmp_path_factory.mktemp("tutorial")
    Reader(folder).follows(TUTORIAL)
    return folder


def test_the_english_tutorial_does_what_it_shows(after_tutorial):
    assert (after_tutorial / "desk" / "park" / ".mangrove").is_dir()


def test_the_vietnamese_tutorial_does_what_it_shows(tmp_path):
    Reader(tmp_path).follows(TUTORIAL_VI)


@pytest.mark.parametrize("name", ["energy-network.md", "mang-nang-luong.md"])
def test_the_tutorial_of_the_network_does_what_it_shows(name, tmp_path):
    blocks = [block for block in blocks_of(DOCS / "tutorials" / name) if block.run]
    code = "\n".join(block.code for block in blocks)  # one program from block to block
    expected = "".join(block.output or "" for block in blocks)
    shown = Reader(tmp_path).types(Block("python", True, code, 0, None))
    assert matches(expected, shown), f"the page shows\n{expected}\nbut it prints\n{shown}"
    assert "VND" in shown


def test_both_tutorials_run_the_same_commands():
    english, vietnamese = (
        [
            (block.language, re.sub(r"\b(en|vi)\b", "LANG", block.code))
            for block in blocks_of(page)
            if block.run
        ]
        for page in (TUTORIAL, TUTORIAL_VI)
    )
    assert len(english) > 10
    assert english == vietnamese


@pytest.mark.parametrize(
    "page",
    [p for p in [*PAGES, ROOT / "README.md"] if p.parent.name != "tutorials" and any(b.run for b in blocks_of(p))],
    ids=name_of,
)  # fmt: skip
def test_a_page_that_goes_on_from_the_tutorial_does_what_it_shows(page, after_tutorial, tmp_path):
    shutil.copytree(after_tutorial / "desk", tmp_path / "desk")
    shutil.copy(after_tutorial / "environment", tmp_path / "environment")
    Reader(tmp_path).follows(page)


@pytest.mark.parametrize(
    "page", [p for p in READ if any(b.language == "python" and not b.run for b in blocks_of(p))], ids=name_of
)
def test_code_that_stands_alone_runs(page, tmp_path):
    for block in blocks_of(page):
        if block.language == "python" and not block.run:
            Reader(tmp_path).types(block)


def test_output_is_compared_line_by_line_and_word_by_word():
    assert matches("a\n…\nb …\n", "a\nx\ny\nb 12\n")
    assert matches("a\n…\n", "a\n")
    assert not matches("a\nb …\n", "a\nx\nb 12\n")
    assert not matches("a\n", "a\nb\n")


# --- the reference of the command line ------------------------------------------------------------------------------


def commands(group, words: tuple[str, ...] = ()):
    """Every command below `group` with the words that call it."""
    if hasattr(group, "commands"):
        for name, command in group.commands.items():
            yield from commands(command, (*words, name))
    else:
        yield " ".join(words), group


COMMANDS = dict(commands(typer.main.get_command(app)))


def section(name: str) -> str:
    """The section of the reference about one command."""
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## mangrove (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(name, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_is_in_the_reference(name):
    text = section(name)
    assert text, f"docs/reference/cli.md has no section '## mangrove {name}'"
    options = {option for param in COMMANDS[name].params for option in (*param.opts, *param.secondary_opts)}
    asked = {option for option in options if option.startswith("--")} - {"--help", "--lang"}
    assert {option for option in asked if f"`{option}" not in text} == set()
    assert set(re.findall(r"`(--[a-z-]+)", text)) - options == set(), "options that do not exist"


def test_the_reference_describes_no_command_that_does_not_exist():
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## mangrove (.+)$", text, flags=re.MULTILINE)) == set(COMMANDS)


def test_the_reference_lists_every_environment_variable_that_the_commands_read():
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    for command in COMMANDS.values():
        for param in command.params:
            assert param.envvar is None or f"`{param.envvar}`" in text


def command_lines(page: Path) -> list[str]:
    """The calls of `mangrove` in blocks and in running text, each on one line."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    shown = [line for match in _FENCE.finditer(text) for line in match["body"].splitlines()]
    told = re.findall(r"`([^`]+)`", _FENCE.sub("", text).replace("\n", " "))
    return [line for line in (*shown, *told) if line.startswith("mangrove ")]


@pytest.mark.parametrize("page", READ, ids=name_of)
def test_commands_that_a_page_names_exist(page):
    for line in command_lines(page):
        words = re.findall(r"^mangrove ([a-z][a-z-]*)(?: ([a-z]+)\b)?", line)
        if not words:  # `mangrove COMMAND`, `mangrove ...`
            continue
        name = next((name for name in (" ".join(words[0]), words[0][0]) if name in COMMANDS), None)
        assert name, f"{name_of(page)} names a command that does not exist: {line}"
        params = COMMANDS[name].params
        options = {option for param in params for option in (*param.opts, *param.secondary_opts)}
        named = set(re.findall(r"(?<=\s)--[a-z-]+", line.partition("|")[0]))
        assert named <= options | {"--help", "--debug"}, f"{name_of(page)}: {line}"


def test_the_targets_of_make_that_pages_name_exist():
    targets = set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    named = {t for page in READ for t in re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert named >= {"demo", "test"}
    assert named <= targets


# --- links and paths ------------------------------------------------------------------------------------------------


def links(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [m["target"] for m in _LINK.finditer(text) if not re.match(r"[a-z]+:", m["target"])]


@pytest.mark.parametrize("page", READ, ids=name_of)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name_of(page)} links to {link}"


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_index_leads_to_every_page():
    index = DOCS / "index.md"
    reached = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    assert {name_of(page) for page in PAGES if page not in reached and page != index} == set()


@pytest.mark.parametrize("page", READ, ids=name_of)
def test_no_page_names_a_folder_of_one_machine(page):
    assert _MACHINE.findall(page.read_text(encoding="utf-8")) == []


def test_pictures_are_small_and_have_words():
    for picture in (DOCS / "images").iterdir():
        assert picture.stat().st_size < 250_000
        named = re.compile(rf"!\[[^\]]{{20,}}\]\([^)]*{re.escape(picture.name)}\)")
        assert any(named.search(page.read_text(encoding="utf-8")) for page in READ), (
            f"{picture.name} has no words"
        )
