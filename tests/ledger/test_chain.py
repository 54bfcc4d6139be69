# SPDX-License-Identifier: Apache-2.0
"""The chain hash separates its fields."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mangrove.ledger import Origin
from mangrove.ledger.chain import GENESIS, Link, fingerprint

FIELDS = st.lists(st.binary(max_size=4), max_size=4)


@given(FIELDS, FIELDS)
def test_two_lists_of_fields_have_the_same_fingerprint_only_when_they_are_equal(left, right):
    assert (fingerprint(left) == fingerprint(right)) == (left == right)


def test_source_and_sequence_do_not_run_into_each_other():
    def hash_of(source, seq):
        return Link(GENESIS, 1, Origin(source, seq), 1, 0, 0, 0, "c").hash

    assert hash_of("meter", "12") != hash_of("meter1", "2")
