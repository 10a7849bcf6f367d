"""The charts of a comparison of rules."""

import re

import pytest

from revpipe.simulating.charts import columns


@pytest.mark.parametrize(
    ("most", "axis"), [(0, ["1", "2"]), (1, ["1", "2"]), (7, ["4", "8"]), (21_461, ["10,731", "21,462"])]
)
def test_an_axis_of_counts_names_counts(most: int, axis: list[str]) -> None:
    assert re.findall(r">([\d,]+)<", columns("actions a day", [("2026-01-05", (most, 0))])) == axis
