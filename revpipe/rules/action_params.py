"""What each type of action takes as params, told to those who write rules.

The adapters check params themselves. This is the same in words, and a test holds the two together.
"""

from typing import Any, Final, NamedTuple


class Param(NamedTuple):
    """One param: its type, a value that the adapter takes, what else is allowed, and what stands in if left out."""

    type: str
    example: Any
    allowed: str
    default: str = ""

    @property
    def needed(self) -> bool:
        """Whether the action can't do without it."""
        return not self.default


_ID: Final = "a HubSpot id: digits, as text; null counts as left out"

PARAMS: Final[dict[str, dict[str, Param]]] = {
    "create_task": {
        "subject": Param("text", "Acme, platform renewal: call the buyer", "not empty; line breaks become blanks"),
        "body": Param("text", "Agree the remaining steps.", "up to 65,000 characters as HTML", "no body"),
        "due_in_days": Param("whole number", 2, "0 to 3650; a weekend moves it to Monday", "1"),
        "priority": Param("text", "HIGH", "`LOW`, `MEDIUM`, `HIGH`", "`MEDIUM`"),
        "task_type": Param("text", "CALL", "`TODO`, `CALL`, `EMAIL`", "`TODO`"),
        "owner_id": Param("text", "71234567", _ID, "nobody's task"),
        "deal_id": Param("text", "1001", _ID, "the signal's deal"),
        "account_id": Param("text", "2001", _ID, "the signal's account"),
        "contact_id": Param("text", "3001", _ID, "the signal's contact"),
    },
    "update_crm": {
        "object": Param("text", "deal", "`deal`, `account`, `contact`"),
        "id": Param("text", "1001", "a HubSpot id: digits, as text"),
        "properties": Param(
            "mapping of texts",
            {"hs_next_step": "Send the security papers"},
            "at least one internal property name with its new value; numbers and dates as text too",
        ),
    },
    "send_alert": {
        "title": Param("text", "Acme slips again", "not empty; Slack shows 150 characters"),
        "text": Param("text", "The close date has been pushed twice.", "Slack shows 3,000 characters", "no text"),
        "fields": Param("mapping", {"Owner": "Robin Reyes"}, "label to value; the first 30 are shown", "no fields"),
        "link": Param("text", "https://app.example.com/deal/1001", "a web address, or null", "no link"),
        "channel": Param("text", "C0DEALS01", "a channel's id, or null", "`SLACK_DEFAULT_CHANNEL`"),
    },
    "draft_followup": {
        "to": Param("text", "kim@hooli.example", "the buyer's address, or null", "no address"),
        "subject": Param("text", "Next steps", "not empty"),
        "body": Param("text", "Hi Kim,\n\nDoes a short call suit you?", "not empty"),
    },
}
