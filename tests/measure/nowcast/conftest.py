# SPDX-License-Identifier: Apache-2.0
"""The city that several tests of the nowcast look at."""

import pytest
from tests.measure.nowcast.twins import AT, asked, city, inventory, live, put


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    """A city with an inventory of 2025 and live series to August 2026; tests do not write to it."""
    park = city(tmp_path_factory.mktemp("city") / "c")
    with park.writer() as ledger:
        put(ledger, inventory(), "inventory")
        put(ledger, live(), "live")
        asked(ledger, park, AT, stored=True)
    return park


@pytest.fixture(scope="module")
def made(park):
    """The nowcast of that city."""
    with park.reader() as ledger:
        return asked(ledger, park, AT)
