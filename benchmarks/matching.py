# SPDX-License-Identifier: Apache-2.0
"""Waste codes from words, receivers from memory, and candidates among thousands: how often right, beside what; CPU seconds.

    MANGROVE_DATA=... python benchmarks/matching.py coding
    MANGROVE_DATA=... python benchmarks/matching.py receivers
    python benchmarks/matching.py candidates [OFFERS]

Coding and receivers: the 305 exchanges of the MAESTRI database, leave-one-study-out (43 studies, the column `case`): what is ranked is
never in the memory, nor is anything of the same study; the weights of each study are fitted on the other studies, each of those
ranked without its own study. A row with several codes (11 of 305) is right when one of them is named.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import sys
import time
from collections import Counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import real
from mangrove.matching import Case, EwcCoder, candidates, catalog, fit_weights
from mangrove.matching.coder import FEATURES, WEIGHTS
from mangrove.matching.learn import conditional_logit
from mangrove.matching.receivers import Receivers, fit_receivers
from mangrove.territory.model import Carrier, Listing, Quality
from mangrove.units import Quantity, unit

FILE = "maestri_exchanges_305.csv"


def past():
    """The exchanges of the file as cases."""
    with (real.folder("symbiosis") / FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Case(
            nace_from=tuple(row["nace_from"].split(";")), nace_to=tuple(row["nace_to"].split(";")), text=row["waste"],
            ewc=tuple(row["ewc"].split(";")), use=row["final_use"], id=str(number), study=row["case"],
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip


OWN = [FEATURES.index(name) for name in ("glossary", "usual_chapter")]


def fitted_without_own(cases):
    """Nested weights that know nothing of the program's own glossary and table of industries."""
    coder = EwcCoder(cases)
    study = np.array([case.study for case in cases])
    known = [case.text for case in cases], [case.nace_from for case in cases]
    evidence = coder.evidence(*known, study[:, None] != study[None, :])
    evidence[:, :, OWN] = 0
    return conditional_logit(evidence, coder.memory.truth.toarray())


def coded(cases, weights=None, *, remember=True, fit=fit_weights):
    """Rank of the first right code of each case (0 is best), each study ranked by a coder that never saw it."""
    ranks = {}
    for study in dict.fromkeys(case.study for case in cases):
        asked = [case for case in cases if case.study == study]
        others = [case for case in cases if case.study != study]
        fitted = fit(others) if weights is None else weights
        coder = EwcCoder(others if remember else (), weights=fitted)
        named = coder.rank([case.text for case in asked], [case.nace_from for case in asked], keep=842).codes
        for case, codes in zip(asked, named, strict=True):
            ranks[case.id] = min(codes.index(code) for code in case.ewc)
    return np.array([ranks[case.id] for case in cases])


def tops(ranks, *sizes):
    return "/".join(f"{float((ranks < size).mean()):.3f}" for size in sizes)


def coding():
    cases = past()
    start = time.process_time()
    ranks = coded(cases)
    print(
        f"nested weights: top-1/5/10 {tops(ranks, 1, 5, 10)}  ({time.process_time() - start:.1f} s)  bar .40/.63/.69"
    )
    print(f"nested, without own glossary and table: {tops(coded(cases, fit=fitted_without_own), 1, 5, 10)}")
    print(f"packaged weights (they saw all cases): {tops(coded(cases, WEIGHTS), 1, 5, 10)}")
    print(f"packaged weights, no memory: {tops(coded(cases, WEIGHTS, remember=False), 1, 5, 10)}")
    print("weights on all cases:", dict(zip(FEATURES, np.round(fit_weights(cases), 3).tolist(), strict=True)))


def receivers():
    cases = past()
    for name, known in (("words, giver and waste code", True), ("words and giver", False)):
        told = [case if known else dataclasses.replace(case, ewc=()) for case in cases]
        ranks, popular = [], []
        for study in dict.fromkeys(case.study for case in told):
            others, asked = [c for c in told if c.study != study], [c for c in told if c.study == study]
            ranker = Receivers(others, weights=fit_receivers(others))
            often = Counter(code[:2] for case in others for code in case.nace_to)
            first = [code for code, _ in often.most_common()]
            for case, divisions in zip(asked, ranker.rank(asked), strict=True):
                right = {code[:2] for code in case.nace_to}
                for listed, kept in ((divisions, ranks), (first, popular)):
                    kept.append(min((listed.index(code) for code in right if code in listed), default=99))
        print(
            f"receiver NACE2 from {name}: top-1/3/5 {tops(np.array(ranks), 1, 3, 5)}, popularity {tops(np.array(popular), 1, 3, 5)}"
        )
    print("weights on all cases:", np.round(fit_receivers(cases), 3).tolist())


def world(count, rng, *, same=False, one_park=False):
    """Offers and needs in clusters in 300 x 300 km, 200 codes (Zipf), half with limits: the park of section 7 of the reference page."""
    codes = [one.code for one in catalog.wastes()]
    picked = rng.permutation(len(codes))[:200]
    chance = 1 / np.arange(1, 201)
    drawn = picked[rng.choice(200, 2 * count, p=chance / chance.sum())]
    centers = rng.uniform(0, 0.01 if one_park else 300, (60, 2))
    at = centers[rng.integers(60, size=2 * count)] + rng.normal(0, 5, (2 * count, 2))
    where = {str(n): (105 + x / 104, 20 + y / 111) for n, (x, y) in enumerate(at.tolist())}
    labels = {one.code: one.en for one in catalog.wastes()}
    percent = unit("%")
    listings = []
    for n, row in enumerate(drawn):
        offer = n < count
        value = Quantity(float(rng.uniform(0, 10)), percent)
        code = "100202" if same else codes[row]
        listings.append(Listing(
            str(n), "offer" if offer else "need", str(n), Carrier("waste" if offer else "material", code if offer else ""),
            text=labels[code] if same else f"{labels[code]}, lot {rng.integers(10**6)}", codes={"ewc": (code,)},
            quality=(Quality("moisture", "=" if offer else "<=", value),) if n % 2 else (), hazardous=False,
        ))  # fmt: skip
    return listings[:count], listings[count:], where


def scale():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    catalog.wastes()
    for name, options in (
        ("spread over 300 x 300 km", {}), ("all in one park", {"one_park": True}),
        ("one park, one text", {"one_park": True, "same": True}),
    ):  # fmt: skip
        offers, needs, where = world(count, np.random.default_rng(0), **options)
        coder = EwcCoder()
        start = time.process_time()
        found = candidates(offers, needs, where=where, keep=10, coder=coder)
        print(f"{count} x {count}, {name}: {len(found)} pairs, {time.process_time() - start:.1f} s CPU")


if __name__ == "__main__":
    {"coding": coding, "receivers": receivers, "candidates": scale}[sys.argv[1]]()
