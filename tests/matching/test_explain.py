# SPDX-License-Identifier: Apache-2.0
"""Whatever is offered and needed: every pair stands on one side of the gates, and every sentence is whole in both languages."""

import re
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.matching.listed import CENTER, named, need, offer

from mangrove.matching import Case, EwcCoder, candidates
from mangrove.territory.model import CARRIER_KINDS

CODER = EwcCoder()
CASES = [
    Case(("2410",), ("2351",), "slag", ("100202",), id="1"),
    Case((), (), "Nước ngưng", (), id="x", giver="p1", taker="p2"),
]
DAYS = st.none() | st.dates(date(2025, 1, 1), date(2027, 1, 1))
CODES = st.sampled_from(
    [
        "",
        "ewc=100202",
        "ewc=110105",
        "ewc=100202 030105; hs=2618",
        "hs=7204",
        "cpa=241011; nace=2410",
        "nace=2351",
        "isic=2410",
    ]
)
TEXTS = st.sampled_from(["", "xỉ lò điện", "steel slag", "axit tẩy gỉ", "🙂", "bơm nhiệt", "bã bia"])
LEVELS = st.sampled_from(["", "@90degC", "@60degC", "@10bar", "@clean", ":gypsum"])
CARRIERS = st.builds(str.__add__, st.sampled_from(CARRIER_KINDS), LEVELS) | st.sampled_from(
    ["waste:100202", "waste:110105", "service:technology"]
)
PLACES = st.sampled_from(["p1", "p2", "p3", "nowhere"])
PERMITS = st.lists(st.sampled_from(["1002", "110105", "0301"]), max_size=2).map(tuple)
AMOUNTS = st.sampled_from(["120 t/month", "3 m3/d", "50 kWh/month"])


def sided(maker, sense):
    quality = st.lists(st.sampled_from(["chloride", "moisture", "temperature"]), unique=True).flatmap(
        lambda names: st.tuples(*(st.integers(0, 9).map(f"{name}{sense}{{}} {'degC' if name == 'temperature' else '%'}".format) for name in names))
    ).map("; ".join)  # fmt: skip
    fields = st.fixed_dictionaries({
        "codes": CODES, "text": TEXTS, "quality": quality, "permits": PERMITS, "valid_from": DAYS, "valid_to": DAYS,
        "hazardous": st.none() | st.booleans(), "quantity": AMOUNTS,
    })  # fmt: skip
    one = st.tuples(CARRIERS, PLACES, fields)
    return st.lists(one, max_size=5).map(
        lambda rows: [
            maker(f"{maker.__name__}{n}", carrier, place, **told)
            for n, (carrier, place, told) in enumerate(rows)
        ]
    )


@settings(max_examples=150, deadline=None)
@given(sided(offer, "="), sided(need, "<="))
def test_every_pair_is_a_candidate_or_refused_and_every_sentence_is_whole(offers, needs):
    where = {"p1": CENTER, "p2": (CENTER[0] + 0.1, CENTER[1]), "p3": (CENTER[0] + 0.9, CENTER[1])}
    found = candidates(offers, needs, where=where, cases=CASES, coder=CODER)
    refused = found.refused(most=100)
    kept = named(found)
    assert len(set(kept)) == len(kept)
    assert not set(kept) & {(offers[no.offer].id, needs[no.need].id) for no in refused}
    assert ((found.score >= 0.1 - 1e-9) & (found.score <= 1 + 1e-9)).all()
    assert all(no.reasons for no in refused)
    said = [
        text
        for a in range(len(found))
        for lang in ("en", "vi")
        for text in (*found.reasons(a, lang), *found.asks(a, lang))
    ]
    said += [text for lang in ("en", "vi") for no in found.refused(lang, most=100) for text in no.reasons]
    for text in said:
        assert not re.search(r"[{}]|match\.|\bnan\b|None", text), text
