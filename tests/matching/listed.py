# SPDX-License-Identifier: Apache-2.0
"""Offers and needs in one line, for the tests of matching: cells as people write them, read by the parsers of the declaration."""

from mangrove.territory import cells
from mangrove.territory.model import Carrier, Listing
from mangrove.units import Quantity

CENTER = (106.68, 20.87)


def listing(id_, side, carrier, place="", **fields):
    """A listing from cell texts: `codes`, `quality`, `quantity`, `radius` are parsed, everything else is taken as it is."""
    parsers = {
        "codes": cells.codes,
        "quality": cells.quality,
        "quantity": cells.rates,
        "radius": Quantity.parse,
    }
    parsed = {key: parsers[key](value) if key in parsers else value for key, value in fields.items()}
    return Listing(id_, side, place or id_, Carrier.parse(carrier), **parsed)


def offer(id_, carrier, place="", **fields):
    return listing(id_, "offer", carrier, place, **fields)


def need(id_, carrier, place="", **fields):
    return listing(id_, "need", carrier, place, **fields)


def together(*listings):
    """All places at one point."""
    return dict.fromkeys((one.place for one in listings), CENTER)


def named(found):
    """Pairs as ids of the offer and the need."""
    offers, needs = found.world.offers, found.world.needs
    return [
        (offers[o].id, needs[n].id) for o, n in zip(found.offer.tolist(), found.need.tolist(), strict=True)
    ]
