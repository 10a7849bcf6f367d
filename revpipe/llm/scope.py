"""What an answer may refer to."""

from dataclasses import dataclass

from revpipe.llm.masking import Mask


@dataclass(frozen=True, slots=True)
class Scope:
    """What an answer may refer to, and how its stand-ins are taken back."""

    deal_id: str | None
    account_id: str | None
    contact_id: str | None
    contact_email: str | None
    owner_id: str | None
    deal_url: str | None
    deal_name: str | None
    mask: Mask
    system: str
    canary: str
