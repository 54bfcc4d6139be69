# SPDX-License-Identifier: Apache-2.0
"""What a door tells about what it did: per file the assumptions, the counts and the reasons for quarantine.

Comes in: counts and problems while a file is read. Goes out: `IngestReport`, as data (`problems()`), as text in two
languages (`text(lang)`), and with the receipts of the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mangrove import messages
from mangrove.errors import Problem, Where
from mangrove.ledger.types import Receipt, Rejected

SHOWN = 5
"""Quarantined rows shown per reason; all of them are in the ledger's quarantine."""


@dataclass
class DoctorReport:
    """One file.

    Attributes:
        path: the file; error: problems that kept it from being read at all.
        assumptions: what the import doctor assumed, as notes and warnings.
        rows: data rows in the file; stored: values stored.
        unchanged: values that the ledger had already (equal ones); repeated: values that the file has twice.
        empty: empty cells; quarantined: rejected rows; reasons: how many per message code.
        examples: some rejected rows, at most five per reason.
        flows: values per flow; first, last: the earliest and the latest interval start.
        receipts: of the batches; all are duplicates when the same file came before.
        derived: receipts of amounts derived from counter registers.
    """

    path: Path
    assumptions: list[Problem] = field(default_factory=list)
    error: list[Problem] = field(default_factory=list)
    rows: int = 0
    stored: int = 0
    unchanged: int = 0
    repeated: int = 0
    empty: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[Problem] = field(default_factory=list)
    flows: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    receipts: list[Receipt] = field(default_factory=list)
    derived: list[Receipt] = field(default_factory=list)

    @property
    def duplicate(self) -> bool:
        """Whether the same file had been stored before, read in the same way."""
        return bool(self.receipts) and all(receipt.duplicate for receipt in self.receipts)

    def add(self, receipt: Receipt, rejected: Sequence[Rejected]) -> None:
        """Counts a batch."""
        self.receipts.append(receipt)
        if not receipt.duplicate:
            self.stored += receipt.rows
            self.unchanged += receipt.unchanged
        self.quarantined += max(len(rejected), receipt.rejected)
        for row in rejected:
            self.reasons[row.reason.code] += 1
            if self.reasons[row.reason.code] <= SHOWN:
                where = Where(str(self.path), row.line or 0)
                self.examples.append(Problem(row.reason.code, row.reason.data, where, "warning"))

    def problems(self) -> list[Problem]:
        """Errors, then warnings about rows, then assumptions."""
        return [*self.error, *self.examples, *self.assumptions]

    def text(self, lang: str = "en") -> str:
        """Some lines for people."""
        if self.error:
            head = messages.render("sources.report_failed", lang, path=self.path.name)
            return "\n".join([head, *(f"  {problem.line(lang)}" for problem in self.error)])
        code = "sources.report_duplicate" if self.duplicate else "sources.report_file"
        counts = {
            name: getattr(self, name)
            for name in ("rows", "stored", "unchanged", "repeated", "empty", "quarantined")
        }
        lines = [messages.render(code, lang, path=self.path.name, flows=len(self.flows), **counts)]
        lines += [f"  - {note.text(lang)}" for note in self.assumptions]
        lines += [f"  ! {example.line(lang)}" for example in self.examples]
        return "\n".join(lines)


@dataclass
class IngestReport:
    """All files of one ingest, and what screening found afterwards."""

    files: list[DoctorReport] = field(default_factory=list)
    findings: list[Problem] = field(default_factory=list)
    screening: list[Receipt] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Values stored."""
        return sum(file.stored for file in self.files)

    @property
    def quarantined(self) -> int:
        """Rows in quarantine."""
        return sum(file.quarantined for file in self.files)

    @property
    def receipts(self) -> list[Receipt]:
        """Receipts of all batches, in order."""
        return [receipt for file in self.files for receipt in file.receipts]

    @property
    def failed(self) -> list[DoctorReport]:
        """Files that could not be read at all."""
        return [file for file in self.files if file.error]

    def problems(self) -> list[Problem]:
        """Everything that was found, file by file, then what screening found."""
        return [*(p for file in self.files for p in file.problems()), *self.findings]

    def text(self, lang: str = "en") -> str:
        """The report for people."""
        lines = [file.text(lang) for file in self.files]
        if self.findings:
            lines.append(messages.render("sources.report_findings", lang, count=len(self.findings)))
            lines += [f"  - {finding.text(lang)}" for finding in self.findings]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()
