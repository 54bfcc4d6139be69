# SPDX-License-Identifier: Apache-2.0
"""Which industries took such things before: a ranking of NACE divisions for a by-product.

Comes in: descriptions, waste codes where they are known, industries of givers, past exchanges. Goes out: divisions with probabilities.
Predicting the very receiver is near chance; a division to look among is what memory can give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mangrove.matching.coder import words_of
from mangrove.matching.learn import conditional_logit, softmax
from mangrove.matching.types import Case, industry_likeness

if TYPE_CHECKING:
    from mangrove.matching.types import Floats, Mask

WEIGHTS = (0.363, 0.433, 0.296, 0.094, 0.049, 0.177)
"""Fitted on the 305 exchanges of the MAESTRI database (see benchmarks/matching.py)."""
_DIVISION = 2


class Receivers:
    """Ranks the NACE divisions of takers.

    Args:
        cases: past exchanges; those without a taker's industry teach nothing.
        weights: of six kinds of evidence: likest words, summed words, waste code, giver's industry, use of the chapter, how often.

    Example:
        >>> case = Case(("2410",), ("2351",), "blast furnace slag", ("100202",))
        >>> Receivers([case]).rank([case])[0][0]
        '23'
    """

    def __init__(self, cases: Sequence[Case], *, weights: Sequence[float] | Floats = WEIGHTS) -> None:
        self.cases = [case for case in cases if case.nace_to]
        self.divisions = sorted({code[:_DIVISION] for case in self.cases for code in case.nace_to})
        self.weights = np.asarray(weights, dtype=float)
        self.truth = np.zeros((len(self.cases), len(self.divisions)))
        for row, case in enumerate(self.cases):
            for code in case.nace_to:
                self.truth[row, self.divisions.index(code[:_DIVISION])] = 1
        self._words = words_of([case.text for case in self.cases])

    def rank(self, asked: Sequence[Case]) -> list[tuple[str, ...]]:
        """The divisions of each question, likeliest first; what a question says of its taker is not read."""
        if not self.cases:
            return [() for _ in asked]
        likely = softmax(self.evidence(asked) @ self.weights)
        order = np.argsort(-likely, axis=1, kind="stable").tolist()
        return [tuple(self.divisions[column] for column in row) for row in order]

    def evidence(self, asked: Sequence[Case], remembered: Mask | None = None) -> Floats:
        """The evidence (N, divisions, 6); `remembered` (N, cases) says which cases each question may remember."""
        allowed = np.ones((len(asked), len(self.cases))) if remembered is None else remembered.astype(float)
        alike = (words_of([one.text for one in asked]) @ self._words.T).toarray() * allowed
        codes = np.array([[_same_code(one.ewc, case.ewc) for case in self.cases] for one in asked]) * allowed
        near = np.array([[_same_trade(one, case) for case in self.cases] for one in asked]) * allowed
        often = (allowed @ self.truth + 0.5) / (allowed.sum(axis=1, keepdims=True) + 1)
        return np.stack(
            [
                _most(alike, self.truth), np.log1p(10 * alike**3 @ self.truth),
                *(np.log((one @ self.truth + often) / (one.sum(axis=1, keepdims=True) + 1)) for one in (codes, near)),
                np.log1p((codes * near) @ self.truth), np.log(often),
            ],
            axis=-1,
        )  # fmt: skip


def fit_receivers(cases: Sequence[Case]) -> Floats:
    """Weights from past exchanges, each ranked with the memory of the other studies only."""
    ranker = Receivers(cases)
    study = np.array([case.study for case in ranker.cases])
    return conditional_logit(ranker.evidence(ranker.cases, study[:, None] != study[None, :]), ranker.truth)


def _most(alike: Floats, truth: Floats) -> Floats:
    """(N, divisions) the highest likeness among the cases of each division."""
    return np.stack([alike[:, truth[:, column] > 0].max(axis=1) for column in range(truth.shape[1])], axis=1)


def _same_code(ones: Sequence[str], others: Sequence[str]) -> float:
    """1 for the same waste code, 0.5 for the same group, 0.2 for the same chapter."""
    shared = ((6, 1.0), (4, 0.5), (2, 0.2))
    return max(
        (
            worth
            for one in ones
            for other in others
            for digits, worth in shared
            if one[:digits] == other[:digits]
        ),
        default=0.0,
    )


def _same_trade(one: Case, other: Case) -> float:
    return max((industry_likeness(a, b) for a in one.nace_from for b in other.nace_from), default=0.0)
