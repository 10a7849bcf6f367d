"""Deal pipelines: what a stage's id means, and where it stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.hubspot.answers import items
from adapters.hubspot.cache import Cached, knowing
from adapters.hubspot.client import DEAL_PIPELINES, HubSpotClient
from adapters.hubspot.values import flag, number, text


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `order` is its position in the pipeline from 0; `probability` is 0 to 1."""

    label: str | None
    order: int
    is_closed: bool | None
    probability: float | None

    @property
    def is_won(self) -> bool | None:
        """Whether deals here are won: closed and certain. None if HubSpot does not say."""
        if self.is_closed is None or self.probability is None:
            return None
        return self.is_closed and self.probability >= 1


Stages = Mapping[tuple[str, str], Stage]


class Pipelines:
    """The stages of the account's deal pipelines (HubSpot docs, pipelines)."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client
        self._cached = Cached(self._load)

    def known(self, keys: Iterable[tuple[str, str]] = ()) -> Stages:
        """All stages by pipeline id and stage id, `keys` among them unless they are gone."""
        return knowing(self._cached, keys)

    def _load(self) -> Stages:
        stages: dict[tuple[str, str], Stage] = {}
        for pipeline in self._client.pages(DEAL_PIPELINES):
            rows = [row for row in items(pipeline, "stages") if not row.get("archived")]
            rows.sort(key=lambda row: number(row.get("displayOrder")) or 0)
            for order, row in enumerate(rows):
                stages[str(pipeline.get("id")), str(row.get("id"))] = _stage(row, order)
        return stages


def _stage(row: Mapping[str, Any], order: int) -> Stage:
    told = row.get("metadata")
    metadata = told if isinstance(told, dict) else {}
    return Stage(text(row.get("label")), order, flag(metadata.get("isClosed")), number(metadata.get("probability")))
