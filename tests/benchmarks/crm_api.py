"""The calls of HubSpot and Slack that the product and its peers make, answered from a deal's id (crm_deals.py).

Shapes as in HubSpot's documentation of CRM objects and associations and in Slack's of chat.postMessage; what neither
side of the benchmark asks for is left out. Records are rendered once for each kind and set of properties.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from tests.benchmarks import crm_deals

Answer = tuple[int, bytes]
_MARK: Final = "999999999999"
"""Stands for the id in a rendered record; digits, so that it may stand in any of its values."""
_ABOUT: Final = (216, 192)
"""The association types from a task to its deal and to its company (HubSpot docs, tasks)."""
_NOWHERE: Final = orjson.dumps({"status": "error", "category": "OBJECT_NOT_FOUND", "message": "no such resource"})


@dataclass(slots=True)
class Crm:
    """What was asked and done. `reads` and `writes` are calls; `arrived` holds, for each deal, when the effects on it
    came (seconds since 1970).
    """

    reads: int = 0
    last_read: float = 0.0
    writes: int = 0
    arrived: dict[int, list[float]] = field(default_factory=dict)
    effects: int = 0
    last_effect: float = 0.0
    posts: int = 0
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    tasks_of: dict[int, list[int]] = field(default_factory=dict)
    _templates: dict[tuple[str, ...], bytes] = field(default_factory=dict)

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """The answer to one request, as status and JSON."""
        path, _, query = target.partition("?")
        parts = path.strip("/").split("/")
        if method == "POST":
            if parts[-1] == "chat.postMessage":
                return self._post(orjson.loads(body))
            if parts[:3] == ["crm", "v3", "objects"] and parts[3] == "tasks" and parts[-1] != "read":
                self.writes += 1
                return self._create(orjson.loads(body), many=len(parts) == 6)
        self.reads += 1
        self.last_read = time.time()
        return self._read(method, parts, query, body)

    def _read(self, method: str, parts: list[str], query: str, body: bytes) -> Answer:
        if parts[:3] == ["crm", "v3", "objects"]:
            if method == "POST" and parts[-1] == "read":
                return self._batch(parts[3], orjson.loads(body))
            if method == "POST" and parts[-1] == "search":
                return self._search(parts[3], orjson.loads(body))
            if method == "GET" and len(parts) == 5:
                return self._one(parts[3], parts[4], query)
        if parts[:3] == ["crm", "v4", "associations"]:
            return self._links(parts[4], orjson.loads(body))
        lists: Mapping[str, Callable[[], list[Any]]] = {"owners": crm_deals.owners, "deals": crm_deals.pipelines}
        if method == "GET" and parts[-1] in lists:
            return 200, orjson.dumps({"results": lists[parts[-1]]()})
        return 404, _NOWHERE

    def _batch(self, object_type: str, asked: Mapping[str, Any]) -> Answer:
        names, past = asked.get("properties") or (), asked.get("propertiesWithHistory") or ()
        found = [self._record(object_type, each["id"], names, past) for each in asked["inputs"]]
        return 200, b'{"status":"COMPLETE","results":[' + b",".join(found) + b"]}"

    def _search(self, object_type: str, asked: Mapping[str, Any]) -> Answer:
        """Companies by domain; each domain has one."""
        domains = asked["filterGroups"][0]["filters"][0]["values"]
        names = asked.get("properties") or ()
        found = [self._record(object_type, crm_deals.company_at(one), names, ()) for one in domains]
        return 200, b'{"total":%d,"results":[' % len(found) + b",".join(found) + b"]}"

    def _one(self, object_type: str, record_id: str, query: str) -> Answer:
        names = parse_qs(query).get("properties", [""])[0].split(",")
        return 200, self._record(object_type, record_id, [name for name in names if name], ())

    def _record(self, object_type: str, record_id: str, names: Any, past: Any) -> bytes:
        if object_type == "tasks":
            return orjson.dumps({"id": record_id, "properties": self.tasks.get(int(record_id), {})})
        key = (object_type, record_id[-1], *names, "/", *past)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = _template(object_type, record_id[-1], names, past)
        return template.replace(_MARK.encode(), record_id.encode())

    def _links(self, to_type: str, asked: Mapping[str, Any]) -> Answer:
        found, lost = [], []
        for each in asked["inputs"]:
            ties = self._ties(each["id"], to_type)
            if ties:
                to = [{"toObjectId": one, "associationTypes": kinds} for one, kinds in ties.items()]
                found.append({"from": {"id": each["id"]}, "to": to})
            else:
                context = {"fromObjectId": [each["id"]]}
                lost.append({"status": "error", "category": "OBJECT_NOT_FOUND", "message": "none", "context": context})
        answer = {"status": "COMPLETE", "results": found, **({"errors": lost} if lost else {})}
        return (207 if lost else 200), orjson.dumps(answer)

    def _ties(self, record_id: str, to_type: str) -> dict[int, list[dict[str, Any]]]:
        if to_type == "tasks":
            return {task: [{"typeId": 215}] for task in self.tasks_of.get(int(record_id), ())}
        ties: dict[int, list[dict[str, Any]]] = {}
        for one, kind in crm_deals.links(record_id, to_type):
            ties.setdefault(one, []).append(kind)
        return ties

    def _create(self, asked: Mapping[str, Any], *, many: bool) -> Answer:
        at = time.time()
        made = [self._made(each, at) for each in (asked["inputs"] if many else [asked])]
        return 201, orjson.dumps({"status": "COMPLETE", "results": made} if many else made[0])

    def _made(self, one: Mapping[str, Any], at: float) -> dict[str, Any]:
        task = 90_000_000_000 + len(self.tasks)
        self.tasks[task] = one["properties"]
        ties = {tie["types"][0]["associationTypeId"]: int(tie["to"]["id"]) for tie in one.get("associations") or ()}
        # A task may hang on a deal's company and contact too; it counts once, for its deal.
        about = next((ties[kind] for kind in _ABOUT if kind in ties), None)
        if about is not None:
            self._arrived(about, task, at)
        trace = {"objectWriteTraceId": one["objectWriteTraceId"]} if "objectWriteTraceId" in one else {}
        return {"id": str(task), "properties": one["properties"], "archived": False, **trace}

    def _arrived(self, deal: int, task: int, at: float) -> None:
        self.arrived.setdefault(deal, []).append(at)
        self.tasks_of.setdefault(deal, []).append(task)
        self.effects += 1
        self.last_effect = at

    def _post(self, asked: Mapping[str, Any]) -> Answer:
        self.posts += 1
        return 200, orjson.dumps({"ok": True, "channel": asked["channel"], "ts": f"{time.time():.6f}"})


def _template(object_type: str, digit: str, names: Any, past: Any) -> bytes:
    stand_in = _MARK[:-1] + digit
    record: dict[str, Any] = {
        "id": stand_in,
        "properties": crm_deals.properties(object_type, stand_in, names),
        "createdAt": "2026-01-05T09:00:00.000Z",
        "updatedAt": "2026-01-05T09:00:00.000Z",
        "archived": False,
    }
    if past:
        record["propertiesWithHistory"] = crm_deals.history(object_type, stand_in, past)
    return orjson.dumps(record).replace(stand_in.encode(), _MARK.encode())
