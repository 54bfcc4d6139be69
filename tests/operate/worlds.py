# SPDX-License-Identifier: Apache-2.0
"""A small workshop with sun and a battery, two prices and a demand charge, for the tests of the operating verb."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.operate.account import Rates
from mangrove.operate.outlook import Grid
from mangrove.operate.prices import Prices
from mangrove.operate.site import Battery, Charger, Generator, Site
from mangrove.rules.contracts import Contract

HCM = ZoneInfo("Asia/Ho_Chi_Minh")
START = np.datetime64("2026-08-31T17:00:00", "s")  # midnight on 1 September in Viet Nam
DAY = date(2026, 9, 1)
QUARTER = 900
BATTERY = Battery("battery", energy=200.0, charge=80.0, discharge=100.0, efficiency=(0.95, 0.94), wear=10.0)


def workshop(**changes):
    """A workshop of 150 kW with 120 kW of sun."""
    parts = {
        "importing": 400.0,
        "exporting": 60.0,
        "batteries": (BATTERY,),
        "generators": (Generator("roof", 120.0),),
        **changes,
    }
    return Site("shop", **parts)


def charging(count=4):
    """The same with chargers."""
    return workshop(chargers=(Charger("plugs", power=7.0, count=count, efficiency=0.92),))


def measured(days=3, seed=0, start=START):
    """Load and sun of some days, kW on quarters of an hour."""
    generator = np.random.default_rng(seed)
    hour = np.arange(days * 96) / 4 % 24
    load = 60 + 70 * ((hour > 7) & (hour < 18)) + 40 * generator.random(len(hour))
    sun = (
        np.maximum(np.sin((hour - 6) / 12 * np.pi), 0.0)
        * 110
        * np.repeat(generator.uniform(0.3, 1.0, days), 96)
    )
    return Grid(start, QUARTER, {"shop#load": load, "roof": sun})


def two_part():
    """The pilot tariff with a capacity price; surplus is paid by law."""
    return Contract(
        "two_component", "production", "22-<110 kV", hours="963", export="law", prices_on=DAY, vat=0.08
    )


def two_prices(**changes):
    """Retail by time of use, without a capacity price."""
    return Contract("tou", "production", "22-<110 kV", hours="963", prices_on=DAY, vat=0.08, **changes)


def rates(contract=None, **changes):
    """Who bills."""
    return Rates(contract or two_part(), HCM, **changes)


def prices(contract=None, days=3, start=START, extra=193):
    """Prices for some days and a horizon more."""
    return Prices.of(contract or two_part(), start, days * 96 + extra, QUARTER, HCM)
