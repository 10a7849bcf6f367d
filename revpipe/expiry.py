"""For how long an action is wanted, where its rule says so."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from revpipe.time_scale import shortened


def wanted_until(action: Mapping[str, Any]) -> datetime | None:
    """Until when its rule wants an action carried out, None if it says nothing of it. A replay wants it anew."""
    if action["expires_s"] is None:
        return None
    since: datetime = action["replayed_at"] or action["created_at"]
    return since + shortened(timedelta(seconds=action["expires_s"]))
