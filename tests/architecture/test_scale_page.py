"""docs/scale.md is what its command makes of the figures that are shipped."""

from project_files import ROOT

from adapters.bombora import source as bombora
from revpipe.bootstrap import load_retention
from revpipe.capacity.costs import load
from revpipe.capacity.estimate import PER_DELIVERY
from revpipe.capacity.page import page
from tests.benchmarks.workloads import BATCH


def test_the_page_is_as_its_command_makes_it() -> None:
    costs = load((ROOT / "config/costs.json").read_text(encoding="utf-8"))
    made = page(costs, load_retention())
    how = "run: python -m revpipe.capacity.page"
    assert (ROOT / "docs/scale.md").read_text(encoding="utf-8") == made, how


def test_deliveries_carry_as_many_signals_as_is_reckoned_with() -> None:
    assert {"single": 1, "batch": BATCH, "file": bombora.ROWS} == PER_DELIVERY
