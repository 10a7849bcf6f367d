"""What the business decides about each type of action: who carries it out, who must agree, and what if nobody does."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from revpipe.business_time import BusinessHours, QuietHours
from revpipe.risk import LOW, TIERS, Risk
from revpipe.time_scale import shortened

ACTION_TYPES: Final = (
    "draft_followup",
    "send_email",
    "update_crm",
    "create_task",
    "send_alert",
    "enroll_sequence",
    "webhook",
)
APPROVALS: Final = ("always", "never", "from_medium", "from_high")
OWNER: Final = "owner"
STAND_IN: Final = "stand_in"
ROLES: Final = ("rep", "operator", "admin")
APPROVERS: Final = (OWNER, STAND_IN, *ROLES)
EXECUTE: Final = "execute"
ESCALATE: Final = "escalate"
REJECT: Final = "reject"
EXPIRE: Final = "expire"
ON_EXPIRY: Final = (EXECUTE, ESCALATE, REJECT, EXPIRE)
NEVER_BY_ITSELF: Final = ("send_email",)
"""Types that no policy may let go by expiry: what a customer reads, a person has read before."""
EDITABLE: Final = ("subject", "body", "title", "text")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` actions of a type to one recipient within `within`."""

    most: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class ActionPolicy:
    """The policy for one type. `expires` is how long an action may wait for a person, by the wall clock or, with
    `hours`, by working time.

    `approvers` may decide, the first that there is is asked. `needed` is how many must agree. Without `self_approval`
    who wrote a version can't agree to it. `editable` are the params that people may change.
    """

    type: str
    adapter: str
    approval: str
    expires: timedelta
    on_expiry: str
    approvers: tuple[str, ...] = (OWNER, STAND_IN, "operator")
    needed: int = 1
    self_approval: bool = True
    editable: tuple[str, ...] = EDITABLE
    hours: BusinessHours | None = None
    quiet: QuietHours | None = None
    cap: Cap | None = None
    risk: Risk = field(default_factory=Risk)

    def needs_person(self, rule_says: str | None, risk: str | None = None) -> bool:
        """Whether a person must agree; a rule may ask for more care than the policy, never for less.

        `risk` is the action's tier; one that is not known counts as the highest.
        """
        if "always" in (self.approval, rule_says):
            return True
        if not self.by_tier:
            return False
        least = self.approval.removeprefix("from_")
        return TIERS.index(risk or TIERS[-1]) >= TIERS.index(least)

    @property
    def by_tier(self) -> bool:
        """Whether the action's risk decides if a person is asked."""
        return self.approval.startswith("from_")

    def ends(self, now: datetime) -> datetime:
        """Until when a person asked at `now` has time."""
        lasts = shortened(self.expires)
        return self.hours.after(now, lasts) if self.hours else now + lasts

    def at_expiry(
        self, wanted: str, *, risk: str, planned_by: str, delivered: bool, edited: bool, escalated: bool
    ) -> str:
        """What happens to an action whose time is up, by what is known of it then: one of ON_EXPIRY, as is `wanted`.

        It goes out by itself only if policy wants that, rules decided it, its risk is low, its approver surely had the
        request, and nobody changed it without agreeing to it.
        """
        if wanted in (REJECT, EXPIRE):
            return wanted
        if not escalated and (not delivered or wanted == ESCALATE):
            return ESCALATE
        if planned_by != "rules":
            return REJECT
        sound = risk == LOW and delivered and not edited and not escalated and self.type not in NEVER_BY_ITSELF
        return EXECUTE if sound and wanted == EXECUTE else EXPIRE
