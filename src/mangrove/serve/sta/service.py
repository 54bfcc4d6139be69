# SPDX-License-Identifier: Apache-2.0
"""The service: one method, from a request to an answer, for both versions of the standard.

Comes in: a `Call` (method, path, query, body, who asks). Goes out: an `Answer` (status, JSON or text, headers). Nothing here
knows of HTTP libraries. What a caller may not see does not exist for it (404); what it may see but not change is 403.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mangrove.errors import LedgerError, SourceError
from mangrove.ledger import Ledger
from mangrove.serve.clock import Clock
from mangrove.serve.sta.change import Change
from mangrove.serve.sta.declared import synchronize
from mangrove.serve.sta.errors import BUSY, FULL, SLOW, StaError
from mangrove.serve.sta.model import V11, V20, Model
from mangrove.serve.sta.readings import Readings
from mangrove.serve.sta.request import Answer, Call
from mangrove.serve.sta.rows import Sight
from mangrove.serve.sta.store import Store
from mangrove.territory.model import Territory

if TYPE_CHECKING:
    from mangrove.serve.scope import Principal, Scope
    from mangrove.sources.intake import Intake

MODELS: Mapping[str, Model] = {"v1.1": V11, "v2.0": V20}
_RETRY = {"Retry-After": "1"}
Note = Callable[[str, "Principal", Mapping[str, Any]], Any]


class SensorThings:
    """The SensorThings service of one territory; use it in a `with` statement.

    Args:
        territory: what is declared; ledger: opened read-only; folder: where `things.db` stands (the ledger's folder).
        intake: the writer of values; None for a service that only reads them.
        clock: says what time it is.
        audit: told of every change and deletion by a client (`Audit.record` of the access rules).
    """

    def __init__(
        self,
        territory: Territory,
        ledger: Ledger,
        folder: Path,
        *,
        intake: Intake | None = None,
        clock: Clock | None = None,
        audit: Note | None = None,
    ) -> None:
        self.territory, self.intake, self.clock = territory, intake, clock or Clock()
        self.readings = Readings(ledger, territory)
        self.store = Store(folder, self.readings.span)
        self.readings.store = self.store
        self.audit = audit
        synchronize(self.store, territory, self.clock)

    def refresh(self, territory: Territory) -> None:
        """Takes a changed declaration; entities keep their ids."""
        self.territory = self.readings.territory = territory
        synchronize(self.store, territory, self.clock)

    def handle(self, version: str, call: Call, scope: Scope) -> Answer:
        """Answers one request; never raises for what a client did."""
        model = MODELS[version]
        try:
            return Change(self, model, call, scope).answer()
        except StaError as error:
            headers = _RETRY if error.status == SLOW else {}
            return Answer(error.status, error.body(call.lang), headers)
        except SourceError as error:
            body = {"code": BUSY, "type": error.code, "message": error.text(call.lang)}
            return Answer(BUSY, body, _RETRY)
        except (LedgerError, TimeoutError) as error:
            text = error.text(call.lang) if isinstance(error, LedgerError) else "timeout"
            status = FULL if isinstance(error, LedgerError) and error.code == "ledger.disk" else SLOW
            return Answer(status, {"code": status, "type": "ledger", "message": text}, _RETRY)

    def sight(self, scope: Scope, *, writes: bool = False) -> Sight:
        """What a scope may see; with `writes` also the Datastreams that it may only write to."""
        if scope.whole:
            return Sight()
        places = tuple(place for place in self.territory.places if scope.sees(place))
        flows = scope.flows | scope.writes if writes else scope.flows
        return Sight(whole=False, places=places, flows=tuple(sorted(flows)))

    def close(self) -> None:
        """Closes the store and the snapshot."""
        self.readings.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
