# SPDX-License-Identifier: Apache-2.0
"""The libraries of the pages are the published files: each is listed with its hash and its licence, and fetches nothing from outside."""

import hashlib
import re
from pathlib import Path

from mangrove import serve

STATIC = Path(serve.__file__).parent / "static"
VENDOR = STATIC / "vendor"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (VENDOR / "VENDOR.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \S+\.(m?js|css) ", line)
]
SCRIPTS = sorted(path for path in VENDOR.iterdir() if path.suffix in {".js", ".mjs", ".css"})


def test_every_file_is_listed_with_its_hash():
    listed = {row[0]: row[-1] for row in ROWS}
    assert set(listed) == {path.name for path in SCRIPTS}
    for path in SCRIPTS:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.name], path.name


def test_every_file_names_its_version_and_has_its_licence_beside():
    for path in SCRIPTS:
        library, version = re.match(r"([a-z-]+?)(?:-worker)?-(\d+\.\d+\.\d+)", path.name).groups()
        licence = VENDOR / f"{library}-{version}.LICENSE.txt"
        assert "copy" in licence.read_text(encoding="utf-8").lower(), path.name


def test_styles_and_scripts_of_the_pages_load_nothing_from_elsewhere():
    own = [path for path in STATIC.iterdir() if path.suffix in {".js", ".css"}]
    assert own
    for path in own:
        assert not re.search(r"https?://(?!www\.w3\.org)", path.read_text(encoding="utf-8")), path.name
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\((?!['\"]?data:)['\"]?https?:", text), path.name
        for address in re.findall(r"sourceMappingURL=(\S+)", text):
            assert "/" not in address, path.name
