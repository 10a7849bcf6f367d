"""The Gong call of the demo: Acme's buyer brings up a competitor, nine days before the renewal is due."""

from adapters.sandbox.scenarios.people import ACME
from adapters.sandbox.scenarios.story import Json, Teller

CALL_ID = "7782342274025937895"
_BUYER = "6432345678555530067"
_REP = "6432345678555530068"
_SECONDS = 2_159


def call(teller: Teller, days: float) -> Json:
    """The call as Gong gives it in a webhook (inside callData) and over its API; it ended `days` ago."""
    began = teller.when(days + _SECONDS / 86_400)
    return {
        "metaData": {
            "id": CALL_ID,
            "url": f"https://app.gong.io/call?id={CALL_ID}",
            "title": "Acme / Revpipe: renewal and pricing",
            "scheduled": began,
            "started": began,
            "duration": _SECONDS,
            "primaryUserId": "234599484848423",
            "direction": "Conference",
            "system": "Zoom",
            "scope": "External",
            "media": "Video",
            "language": "eng",
            "workspaceId": "623457276584334",
            "isPrivate": False,
        },
        "context": [{"system": "HubSpot", "objects": _objects()}],
        "parties": _parties(),
        "content": _content(),
    }


def transcript() -> list[Json]:
    """What was said; times are milliseconds."""
    return [
        {
            "speakerId": _REP,
            "topic": "Renewal",
            "sentences": [{"start": 401_200, "end": 405_900, "text": "Is anything open on your side before we sign?"}],
        },
        {
            "speakerId": _BUYER,
            "topic": "Competition",
            "sentences": [
                {"start": 406_400, "end": 411_050, "text": "We have been shown Northwind, and it costs less."},
                {"start": 411_600, "end": 415_300, "text": "I need a reason to stay that finance accepts."},
            ],
        },
    ]


def _objects() -> list[Json]:
    return [
        {
            "objectType": "Deal",
            "objectId": ACME["deal"],
            "timing": "Now",
            "fields": [
                {"name": "dealname", "value": "Acme, platform renewal"},
                {"name": "amount", "value": 48000},
            ],
        },
        {
            "objectType": "Company",
            "objectId": ACME["company"],
            "timing": "Now",
            "fields": [{"name": "name", "value": "Acme Corporation"}],
        },
    ]


def _parties() -> list[Json]:
    contact = {"objectType": "Contact", "objectId": ACME["buyer"], "timing": "Now", "fields": []}
    return [
        {
            "id": "56825452554556",
            "emailAddress": "lee@acme.example",
            "name": "Lee Marsh",
            "title": "VP Operations",
            "userId": None,
            "speakerId": _BUYER,
            "affiliation": "External",
            "methods": ["Invitee", "Attendee"],
            "context": [{"system": "HubSpot", "objects": [contact]}],
        },
        {
            "id": "56825452554557",
            "emailAddress": "dana@revpipe.example",
            "name": "Dana Reyes",
            "title": "Account executive",
            "userId": "234599484848423",
            "speakerId": _REP,
            "affiliation": "Internal",
            "methods": ["Invitee", "Attendee"],
        },
    ]


def _content() -> Json:
    times = [{"startTime": second, "speakerId": _BUYER} for second in (407.1, 1_204.6)]
    return {
        "structure": [{"name": "Renewal", "duration": 1_420}],
        "topics": [{"name": "Pricing", "duration": 610}],
        "trackers": [
            {
                "id": "5682545255400001",
                "name": "Competitors",
                "count": 2,
                "type": "KEYWORD",
                # A tracker that shows its terms apart keeps the times with them and none of its own.
                "occurrences": [],
                "phrases": [{"phrase": "Northwind", "count": 2, "occurrences": times}],
            },
            {
                "id": "5682545255400002",
                "name": "Procurement",
                "count": 0,
                "type": "KEYWORD",
                "occurrences": [],
                "phrases": [],
            },
        ],
        "pointsOfInterest": {
            "actionItems": [
                {
                    "snippetStartTime": 1_980,
                    "snippetEndTime": 1_986,
                    "speakerID": _REP,
                    "snippet": "I'll send you a comparison before Friday.",
                }
            ]
        },
        "brief": "Lee is content with the product, was offered Northwind at a lower price and asks for arguments.",
    }
