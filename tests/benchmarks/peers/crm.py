"""The two CRM calls of the peers' pipeline and the rule between them, over one pooled session for each process."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import requests

FIELDS = "amount,closedate,dealname,dealstage,hs_is_closed,hubspot_owner_id"
TO_DEAL = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 216}
TIMEOUT = (3.05, 10)


@cache
def session() -> requests.Session:
    """Kept-alive connections to the CRM; made after the fork, at a process's first call."""
    made = requests.Session()
    # Without this, requests looks for proxies and passwords in the environment before every call.
    made.trust_env = False
    made.headers["Authorization"] = f"Bearer {os.environ['HUBSPOT_ACCESS_TOKEN']}"
    made.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    return made


def read_deal(deal_id: int) -> dict[str, Any]:
    """One GET for the deal. Raises requests.RequestException."""
    url = f"{os.environ['HUBSPOT_BASE_URL']}/crm/v3/objects/deals/{deal_id}?properties={FIELDS}"
    answer = session().get(url, timeout=TIMEOUT)
    answer.raise_for_status()
    properties: dict[str, Any] = answer.json()["properties"]
    return properties


def is_overdue(deal: dict[str, Any]) -> bool:
    """The rule: the deal is open and its close date has passed."""
    return deal["hs_is_closed"] == "false" and datetime.fromisoformat(deal["closedate"]) < datetime.now(UTC)


def create_task(deal_id: int, deal: dict[str, Any]) -> None:
    """One POST for a task on the deal. Raises requests.RequestException."""
    properties = {
        "hs_task_subject": f"{deal['dealname']}: set a realistic close date",
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "MEDIUM",
        "hs_timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "hubspot_owner_id": deal["hubspot_owner_id"],
    }
    body = {"properties": properties, "associations": [{"to": {"id": str(deal_id)}, "types": [TO_DEAL]}]}
    url = f"{os.environ['HUBSPOT_BASE_URL']}/crm/v3/objects/tasks"
    session().post(url, json=body, timeout=TIMEOUT).raise_for_status()
