"""What the ledger holds, asked over a connection of the test's own."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text

from revpipe.db import make_engine, transaction
from revpipe.embedded.client import Lease
from tests import rabbitmq_server
from tests.broker_control import control
from tests.e2e.processes import until

Row = dict[str, Any]


class Ledger:
    """Questions to a ledger, wherever it is."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self._engine = make_engine(database_url, pool_size=4)

    def close(self) -> None:
        """End the connections."""
        self._engine.dispose()

    def rows(self, question: str, **values: Any) -> list[Row]:
        """The answer to a question in SQL."""
        with transaction(self._engine) as tx:
            return [dict(row) for row in tx.execute(text(question), values).mappings()]

    def change(self, statement: str, **values: Any) -> None:
        """Carry out a statement that answers nothing."""
        with transaction(self._engine) as tx:
            tx.execute(text(statement), values)

    def signals_of(self, deal_ids: Sequence[str]) -> list[Row]:
        """The signals of deals, in order of their receipt."""
        return self.rows(
            "SELECT * FROM signals WHERE deal_id = ANY(:deals) ORDER BY received_at, signal_id", deals=list(deal_ids)
        )

    def actions_of(self, deal_ids: Sequence[str]) -> list[Row]:
        """The actions for deals, in order of their making."""
        return self.rows(
            "SELECT * FROM actions WHERE deal_id = ANY(:deals) ORDER BY created_at, action_id", deals=list(deal_ids)
        )

    def all_ended(self, deal_ids: Sequence[str], count: int, seconds: float = 60.0) -> list[Row]:
        """The signals of deals, once there are `count` and each has its disposition."""

        def ended() -> list[Row] | None:
            found = self.signals_of(deal_ids)
            return found if len(found) == count and all(row["disposition"] for row in found) else None

        return until(ended, f"the end of {count} signals of {len(set(deal_ids))} deals", seconds)

    def reached(self, deal_id: str, state: str, seconds: float = 60.0) -> Row:
        """The one signal of a deal, once it is in `state`."""

        def there() -> Row | None:
            found = [row for row in self.signals_of([deal_id]) if row["state"] == state]
            return found[0] if found else None

        return until(there, f"state {state} of the signal of deal {deal_id}", seconds)

    def action_in(self, deal_id: str, kind: str, state: str, seconds: float = 60.0) -> Row:
        """The one action of a type for a deal, once it is in `state`."""

        def there() -> Row | None:
            found = [row for row in self.actions_of([deal_id]) if (row["type"], row["state"]) == (kind, state)]
            return found[0] if found else None

        return until(there, f"{kind} {state} for deal {deal_id}", seconds)

    def happened(self, signal_id: uuid.UUID) -> list[str]:
        """What the trail tells of a signal, in order."""
        found = self.rows("SELECT what FROM trail WHERE signal_id = :id ORDER BY at, trail_id", id=signal_id)
        return [row["what"] for row in found]

    def open_tasks(self, signal_id: uuid.UUID) -> list[str]:
        """The subjects of the open tasks of a signal's deal, as they were known when it was decided."""
        [found] = self.rows(
            "SELECT parts -> 'deal' -> 'value' -> 'open_tasks' AS tasks FROM contexts WHERE signal_id = :id",
            id=signal_id,
        )
        return [task["subject"] for task in found["tasks"] or ()]

    def delivery(self, delivery_id: str) -> Row:
        """One delivery."""
        return self.rows("SELECT * FROM deliveries WHERE delivery_id = :id", id=delivery_id)[0]

    def letters_of(self, delivery_id: str) -> list[Row]:
        """The dead letters that a delivery left."""
        return self.rows("SELECT * FROM dead_letters WHERE delivery_id = :id", id=delivery_id)


class LedgerView(Ledger):
    """Reads the ledger of a data folder; holds a lease on its servers until closed."""

    def __init__(self, folder: Path, virtual_host: str = rabbitmq_server.APART) -> None:
        self._lease = Lease(folder)
        super().__init__(self._lease.database_url)
        self._broker = rabbitmq_server.settings(virtual_host)
        self.redis_url = self._lease.redis_url
        if self._broker and virtual_host == rabbitmq_server.APART:
            # Another system may have left something there; that of Redis is each one's own.
            control(self.broker_url).flush()

    @property
    def urls(self) -> dict[str, str]:
        """The settings that lead a process to these servers."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, **self._broker}

    @property
    def broker_url(self) -> str:
        """Where the messages travel."""
        return self._broker.get("BROKER_URL", self.redis_url)

    @property
    def broker_end(self) -> tuple[str, int] | Path:
        """Where the broker listens, as a link to it takes that."""
        url = urlsplit(self.broker_url)
        return ("127.0.0.1", url.port) if url.port else Path(url.path)

    def over(self, port: int) -> dict[str, str]:
        """The settings that lead a process to the broker by a link that listens on `port`."""
        if not self._broker:
            return {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        url = urlsplit(self.broker_url)
        return {"BROKER_URL": self.broker_url.replace(f":{url.port}/", f":{port}/")}

    def close(self) -> None:
        """Give the servers up."""
        super().close()
        self._lease.close()
