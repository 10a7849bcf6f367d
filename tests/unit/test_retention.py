"""config/retention.yaml: what it may say, and what each fault is told as."""

from datetime import UTC, datetime, timedelta

import pytest

from revpipe import bootstrap, retention
from revpipe.errors import Misconfigured
from revpipe.retention import KINDS

NOW = datetime(2031, 5, 20, tzinfo=UTC)
GOOD = {"deliveries": "90d", "signals": "400d", "trail": "400d", "dead_letters": "30d", "counters": "forever"}


def text(**changed: str) -> str:
    return "retention:\n" + "".join(f"  {kind}: {value}\n" for kind, value in {**GOOD, **changed}.items())


def test_what_is_shipped_is_good() -> None:
    shipped = bootstrap.load_retention()
    assert set(shipped.as_dict()) == set(KINDS)
    assert shipped.limit("deliveries", NOW) == NOW - timedelta(days=90)


def test_forever_has_no_limit() -> None:
    found = retention.load(text(signals="forever", trail="forever"))
    assert found.limit("signals", NOW) is None
    assert found.as_dict() == {**GOOD, "signals": "forever", "trail": "forever"}


@pytest.mark.parametrize(
    ("changed", "line", "words"),
    [
        ({"deliveries": "soon"}, 2, "deliveries: 'soon' is no length of time; write days"),
        ({"deliveries": "3h"}, 2, "deliveries: at least 1d"),
        ({"signals": "30d"}, 3, "signals: at least 90d"),
        ({"trail": "100d"}, 4, "trail: at least as long as signals"),
        ({"signals": "forever"}, 4, "trail: at least as long as signals"),
        ({"plans": "1d"}, 7, "unknown key 'plans'"),
    ],
)
def test_a_fault_is_told_with_its_line(changed: dict[str, str], line: int, words: str) -> None:
    with pytest.raises(Misconfigured) as told:
        retention.load(text(**changed))
    assert f"retention.yaml:{line}: {words}" in str(told.value)


@pytest.mark.parametrize("bad", ["", "retention: 3", "- a", "retention:\n  signals: 400d\n"])
def test_a_file_that_lacks_something_is_refused(bad: str) -> None:
    with pytest.raises(Misconfigured, match=r"retention\.yaml"):
        retention.load(bad)
