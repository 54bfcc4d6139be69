# SPDX-License-Identifier: Apache-2.0
"""Runs a solver in a process of its own and brings its arrays back.

Comes in: the name of a task of `worker.py` and its input. Goes out: a dictionary of arrays, or a located error. The child works in a
temporary folder that is gone afterwards; it is killed when it takes too long and when the caller is interrupted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mangrove.errors import MissingExtraError, RequestError, SourceError, Where

LIMIT = 1800.0
"""Seconds that a run may take unless the caller says otherwise."""


def run(task: str, text: str, source: Path, *, limit: float = LIMIT, **options: Any) -> Mapping[str, Any]:
    """Runs one task on the text of an .inp file.

    Args:
        task: `supply` or `drainage`.
        text: what the solver reads.
        source: the file that it came from, for errors.
        limit: seconds after which it is stopped.
        **options: of the task.

    Raises:
        SourceError: `hydraulics.refused` (the solver's words, and the line where it names one), `hydraulics.crashed`.
        RequestError: `hydraulics.too_slow`.
        MissingExtraError: the extra `water` is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="mangrove-") as name:
        folder = Path(name)
        (folder / "net.inp").write_text(text, encoding="utf-8")
        (folder / "job.json").write_text(json.dumps({"task": task, **options}), encoding="utf-8")
        _wait([sys.executable, "-m", "mangrove.hydraulics.worker", str(folder)], limit)
        said = folder / "said.json"
        if not said.is_file():
            raise SourceError("hydraulics.crashed", where=Where(str(source)))
        answer = json.loads(said.read_text(encoding="utf-8"))
        if "missing" in answer:
            raise MissingExtraError("water")
        if "error" in answer:
            words, line = _refusal(folder, str(answer["error"]))
            raise SourceError("hydraulics.refused", where=Where(str(source), line), reason=words)
        with np.load(folder / "out.npz") as arrays:
            return {**answer, **{key: arrays[key] for key in arrays.files}}


def _wait(command: list[str], limit: float) -> None:
    """Runs a child to its end, or ends it: after `limit` seconds, and when this process is interrupted."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:  # noqa: S603 - this interpreter and a module of this package
        try:
            child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            raise RequestError("hydraulics.too_slow", limit=limit) from None
        except BaseException:
            child.kill()
            raise


def _refusal(folder: Path, error: str) -> tuple[str, int]:
    """What the solver said, and the line of the file that it means (0: none)."""
    path = folder / "net.rpt"
    report = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    told = re.findall(
        r"^\s*(?:Input )?Error \d+:?[^\n]*(?:\n\s*\S[^\n]*)?", report, re.IGNORECASE | re.MULTILINE
    )
    words = " ".join(told[0].split()) if told else error
    numbered = re.search(r"at line (\d+)", words)
    return words[:300], int(numbered[1]) if numbered else _quoted(folder, told[0] if told else "")


def _quoted(folder: Path, told: str) -> int:
    """The number of the line that EPANET repeats below its words; 0 when it repeats none."""
    wanted = " ".join(told.splitlines()[-1].split()) if told else ""
    lines = (folder / "net.inp").read_bytes().decode("utf-8", "replace").splitlines()
    return next((n for n, line in enumerate(lines, 1) if wanted and " ".join(line.split()) == wanted), 0)
