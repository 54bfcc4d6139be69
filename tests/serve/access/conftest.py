# SPDX-License-Identifier: Apache-2.0
"""A park with two tenants and two devices, its accounts with a clock that stands still, and a server in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from tests.serve.access.browser import Browser

import mangrove as mg
from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.gate import Access, guard, need
from mangrove.serve.access.passwords import Hasher
from mangrove.serve.access.settings import Settings
from mangrove.serve.scope import Principal
from mangrove.testing import two_factory_park

PASSWORD = "correct horse battery"
ADMIN = "Nguyễn Thị Hoà"
ROOT = Principal("u0", "test", "user", "admin")
DEVICES = """\
id,protocol,place
gate-1,mqtt,mill
gate-2,mqtt,shop
charger-1,ocpp,shop
"""


@dataclass
class Still:
    """A clock that moves when it is told."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def move(self, **how: float) -> None:
        self.at += timedelta(**how)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    two_factory_park(tmp_path)
    (tmp_path / "devices.csv").write_text(DEVICES, encoding="utf-8")
    return tmp_path


@pytest.fixture
def clock() -> Still:
    return Still()


@pytest.fixture
def accounts(folder: Path, clock: Still) -> Iterator[Accounts]:
    with Accounts(folder, clock, hasher=Hasher(passes=1, memory=32)) as made:
        yield made


@pytest.fixture
def admin(accounts: Accounts) -> Principal:
    token = accounts.first_link().rpartition("/")[2]
    return accounts.links.use(token, ADMIN, PASSWORD).principal


def user(accounts: Accounts, name: str, role: str, place: str = "", password: str = PASSWORD) -> Principal:
    made = accounts.users.add(name, role, place, by=ROOT)
    accounts.users.set_password(made.id, password, by=ROOT)
    return made.principal


def ward() -> APIRouter:
    """A router of somebody else: a place in detail, and a thing to change."""
    router = APIRouter()

    @router.get("/places/{place}")
    async def look(
        place: str, who: Annotated[Principal, Depends(need("admin", "operator", "tenant"))]
    ) -> dict[str, str]:

        access: Access = router.access  # type: ignore[attr-defined]
        return {"place": access.visible(who, place), "who": who.id}

    @router.post("/things")
    async def change(
        who: Annotated[Principal, Depends(need("operator", "device", "tenant", "admin"))],
    ) -> dict[str, str]:
        return {"who": who.id, "device": who.device}

    return router


@pytest.fixture
def serve(
    folder: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[FastAPI, Access]]:
    """Makes a server without screens; its settings are the table that an operator writes."""
    from mangrove.serve import app as frame
    from mangrove.serve.access import routes
    from mangrove.serve.state import Live

    monkeypatch.setattr("mangrove.serve.screens.screens", tuple)

    def make(**settings: Any) -> tuple[FastAPI, Access]:
        park = mg.open(folder)
        access = Access(accounts, park.territory, Settings.of(settings))
        router = ward()
        router.access = access  # type: ignore[attr-defined]
        routers = [routes.router(access), router]
        app = frame.create(
            Live(park), access=access, routers=routers, middleware=[lambda app: guard(app, access)]
        )
        return app, access

    return make


@pytest.fixture
def browse() -> Iterator[Callable[..., Browser]]:
    """Opens browsers, and closes them in the end."""
    opened: list[Browser] = []

    def make(app: FastAPI, *words: Any, **more: Any) -> Browser:
        opened.append(Browser(app, *words, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
