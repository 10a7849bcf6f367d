"""What an account has besides its records: owners and the deal pipeline."""

from typing import Any, Final

Json = dict[str, Any]
_SINCE: Final = "2024-01-01T00:00:00Z"
_STAGES: Final = (
    ("appointmentscheduled", "Appointment scheduled", "0.2", ""),
    ("qualifiedtobuy", "Qualified to buy", "0.4", ""),
    ("presentationscheduled", "Presentation scheduled", "0.6", ""),
    ("decisionmakerboughtin", "Decision maker bought in", "0.8", ""),
    ("contractsent", "Contract sent", "0.9", ""),
    ("closedwon", "Closed won", "1.0", "won"),
    ("closedlost", "Closed lost", "0.0", "lost"),
)
STAGES: Final = {slug: (probability, ending) for slug, _, probability, ending in _STAGES}


def pipeline() -> Json:
    """The default deal pipeline (HubSpot docs, pipelines); metadata values are text."""
    stages = [
        {
            "id": slug,
            "label": label,
            "displayOrder": order,
            "metadata": {"isClosed": "true" if ending else "false", "probability": probability},
            "archived": False,
            "createdAt": _SINCE,
            "updatedAt": _SINCE,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        }
        for order, (slug, label, probability, ending) in enumerate(_STAGES)
    ]
    head = {"id": "default", "label": "Sales Pipeline", "displayOrder": 0, "archived": False, "stages": stages}
    return head | {"createdAt": _SINCE, "updatedAt": _SINCE}


def owner(id: str, user_id: int, email: str, first: str, last: str) -> Json:
    """One owner. `hubspot_owner_id` means `id`, sequences mean `userId` (HubSpot docs, owners)."""
    return {
        "id": id,
        "email": email,
        "type": "PERSON",
        "firstName": first,
        "lastName": last,
        "userId": user_id,
        "userIdIncludingInactive": user_id,
        "createdAt": "2024-01-08T12:00:00Z",
        "updatedAt": "2026-01-08T08:00:00Z",
        "archived": False,
        "teams": [{"id": "9001", "name": "Enterprise", "primary": True}],
    }


def usual_owners() -> list[Json]:
    """The two people of a fresh account."""
    return [
        owner("71234567", 11223344, "dana@revpipe.example", "Dana", "Reyes"),
        owner("71234568", 11223345, "sam@revpipe.example", "Sam", "Okafor"),
    ]


def stage_facts(slug: str) -> dict[str, str]:
    """The calculated deal properties that follow from a stage."""
    probability, ending = STAGES[slug]
    return {
        "hs_deal_stage_probability": probability,
        "hs_is_closed": "true" if ending else "false",
        "hs_is_closed_won": "true" if ending == "won" else "false",
        "hs_is_closed_lost": "true" if ending == "lost" else "false",
    }
