"""Words in files of street plans: hours and days that go round, and what is no word."""

import pytest

from mangrove.errors import MangroveError
from mangrove.street_words import days_of, hours_of


def test_ranges_of_hours_and_days_go_round():
    assert hours_of("22-5") == (22, 23, 0, 1, 2, 3, 4)
    assert hours_of("0-24") == tuple(range(24))
    assert hours_of("06:00-09:00") == (6, 7, 8)
    assert days_of("fri-mon") == (4, 5, 6, 0)
    for text in ("25", "6-30", "6-6", "morning", "6-9-12", "-3", "24", "9" * 5_000, "٦-٩"):
        with pytest.raises(MangroveError):
            hours_of(text)
    for text in ("monday", "mon-", "1-5", ""):
        with pytest.raises(MangroveError):
            days_of(text)
