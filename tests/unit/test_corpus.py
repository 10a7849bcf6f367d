"""The demonstration corpus: the same for a seed, of the stated mix, decided by rules for the most part and honestly."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from config.settings import Settings
from revpipe import bootstrap
from revpipe.cli import cli
from revpipe.commands.corpus import corpus
from revpipe.corpus import mix, world
from revpipe.corpus.making import START, Wish, lines
from revpipe.corpus.reading import CorpusPast
from revpipe.errors import BadPayload
from revpipe.rules import vocabulary
from revpipe.rules.book import RuleBook
from revpipe.simulating import pool
from revpipe.simulating.judge import Trial
from revpipe.simulating.past import Share
from revpipe.simulating.run import Simulated, compare, simulate

RULES = bootstrap.CONFIG / "rules.yaml"
SIZE = 1000
"""Two batches of them, and every kind by its whole share. Nothing here shows better in five times as many."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of the seed that documentation has, smaller than its 5,000 signals."""
    made = tmp_path_factory.mktemp("corpus")
    result = CliRunner().invoke(corpus, ["--signals", str(SIZE), "--out", str(made)])
    assert result.exit_code == 0, result.output
    return made


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return bootstrap.load_rules(Settings())


@pytest.fixture(scope="module")
def found(folder: Path, book: RuleBook) -> Simulated:
    return simulate(CorpusPast(folder), Trial(book, bootstrap.load_policy()), 1)


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "signals.jsonl").read_text("utf-8").splitlines()]


def test_a_seed_makes_the_same_corpus_to_the_byte(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        CliRunner().invoke(corpus, ["--seed", str(seed), "--signals", "300", "--out", str(tmp_path / name)])
    texts = [(tmp_path / name / "signals.jsonl").read_bytes() for name in ("one", "two", "three")]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0].splitlines()) == 300


def test_it_is_that_of_the_documentation_unless_another_is_asked_for(tmp_path: Path) -> None:
    asked = corpus.make_context("corpus", ["--out", str(tmp_path)]).params
    page = (bootstrap.CONFIG.parent / "docs/simulate.md").read_text("utf-8")
    assert f"revpipe corpus --seed {asked['seed']} --signals {asked['signals']} --out" in page


def test_its_mix_is_the_stated_one(folder: Path) -> None:
    assert sum(kind.share for kind in mix.KINDS) == 1000
    told = read(folder)
    events = Counter(line["signal"]["event"] for line in told)
    assert sum(events.values()) == SIZE
    of_kind = {kind.name: kind.share * SIZE // 1000 for kind in mix.KINDS}
    assert events["deal.stage_changed"] == of_kind["stage"]
    assert events["call.completed"] == of_kind["call"]
    assert events["intent.surge"] == of_kind["surge"]
    assert sum(count for event, count in events.items() if event.endswith("property_changed")) == sum(
        of_kind[name] for name in of_kind if name.endswith("property") or name == "import"
    )
    imports = [line for line in told if line["signal"]["payload"].get("change_source") == "IMPORT"]
    assert len(imports) == of_kind["import"]
    readme = (folder / "README.md").read_text("utf-8")
    assert all(f"| {kind.share} | {kind.what} |" in readme for kind in mix.KINDS)
    assert all(f"| {count} | {event} |" in readme for event, count in events.items())


def test_no_signal_comes_twice_and_all_stand_in_order(folder: Path) -> None:
    told = read(folder)
    assert len({line["signal"]["signal_id"] for line in told}) == len(told)
    assert [line["at"] for line in told] == sorted(line["at"] for line in told)


def test_rules_decide_four_of_five_and_leave_some_to_the_llm(found: Simulated) -> None:
    sums = found.sums
    assert (sums.signals, found.unreadable) == (SIZE, 0)
    assert sums.share is not None
    assert 0.80 <= sums.share <= 0.95
    assert sums.counts["kind", "acts"] >= SIZE // 25


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_seeds_say_the_same(tmp_path: Path, book: RuleBook, seed: int) -> None:
    CliRunner().invoke(corpus, ["--seed", str(seed), "--signals", "500", "--out", str(tmp_path)])
    share = simulate(CorpusPast(tmp_path), Trial(book, bootstrap.load_policy()), 1).sums.share
    assert share is not None
    assert 0.80 <= share <= 0.95


def test_no_rule_decides_most_of_it(found: Simulated) -> None:
    # Ordinary properties are half of what a portal sends, and no more than that goes by one rule.
    counts = found.sums.by("nothing_due")
    assert max(counts.values()) <= 0.55 * found.sums.signals
    assert len(counts) >= 8


def test_no_rule_names_anything_of_the_corpus(folder: Path) -> None:
    text = RULES.read_text("utf-8").casefold()
    names: set[str] = set()
    for line in read(folder):
        signal, parts = line["signal"], {name: part["value"] or {} for name, part in line["parts"].items()}
        names |= {signal[key] for key in ("signal_id", "deal_id", "account_id", "contact_id") if signal[key]}
        names |= {str(signal["payload"].get(key) or "") for key in ("object_id", "domain", "call_id", "title", "topic")}
        for part in (parts.get("deal", {}), parts.get("account", {}), parts.get("contact", {})):
            names |= {str(part.get(key) or "") for key in ("id", "name", "domain", "email", "owner_email")}
    names -= {""}
    assert len(names) > SIZE
    assert [name for name in sorted(names) if name.casefold() in text] == []


def test_facts_of_every_root_are_there(folder: Path) -> None:
    known: Counter[str] = Counter()
    for batch in CorpusPast(folder).batches(Share()):
        for past in batch.pasts:
            facts = vocabulary.facts(past.case.signal, past.case.parts, {}, past.at)
            known.update(f"deal.{name}" for name, value in facts["deal"].items() if value is not None)
            known.update(f"signal.{name}" for name, value in facts["signal"].items() if value is not None)
    wanted = {"deal.idle_days", "deal.close_date_pushes", "deal.stage_moved_back", "deal.open_task_subjects"}
    wanted |= {"signal.change_percent", "signal.competitors", "signal.next_steps", "signal.score", "signal.association"}
    assert wanted <= set(known)


def test_several_processes_find_what_one_finds(folder: Path, book: RuleBook, found: Simulated) -> None:
    trial = Trial(book, bootstrap.load_policy())
    assert simulate(CorpusPast(folder), trial, 3).sums.counts == found.sums.counts
    other = Trial(bootstrap.read_rules(Settings(), changed(), "new"), trial.policy)
    alone, together = (compare(CorpusPast(folder), trial, other, jobs) for jobs in (1, 2))
    assert alone.changed > 15
    assert [one.as_dict() for one in alone.changes] == [one.as_dict() for one in together.changes]
    assert (alone.changed, alone.by_rule, alone.after.counts) == (
        together.changed,
        together.by_rule,
        together.after.counts,
    )


def changed() -> str:
    text = RULES.read_text("utf-8").replace("deal.idle_days > 10", "deal.idle_days > 20")
    text = text.replace("size(signal.competitors) > 0", "size(signal.competitors) > 1")
    return text.replace("deal.close_date_pushes >= 2", "deal.close_date_pushes >= 3")


def test_what_breaks_in_a_process_is_told() -> None:
    def work(share: Share) -> int:
        if share.number == 1:
            raise BadPayload("no_corpus", "it is gone")
        return share.number

    with pytest.raises(Exception, match="it is gone"):
        pool.spread(work, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "holds no signal"), ("{", "signals.jsonl:1: not a line of JSON"), ("{}", "1: not a signal of")],
)
def test_a_folder_that_is_no_corpus_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadPayload, match="there is no"):
        CorpusPast(tmp_path).extent()
    (tmp_path / "signals.jsonl").write_text(text, "utf-8")
    with pytest.raises(BadPayload, match=told):
        CorpusPast(tmp_path).extent()


def test_the_commands(folder: Path, tmp_path: Path) -> None:
    new, page = tmp_path / "new.yaml", tmp_path / "page.html"
    new.write_text(changed(), "utf-8")
    share = CliRunner().invoke(cli, ["rules", "share", "--corpus", str(folder)])
    assert "share decided by rules" in share.output
    told = CliRunner().invoke(cli, ["rules", "simulate", str(new), "--corpus", str(folder), "--json"])
    assert json.loads(told.output)["signals"] == SIZE
    diff = ["rules", "diff", str(new), "--corpus", str(folder), "--html", str(page), "--json", "--jobs", "2"]
    answer = json.loads(CliRunner().invoke(cli, diff).output)
    (rule,) = [row for row in answer["rules"] if row["rule"] == "idle-near-close"]
    assert rule["actions"][0] > rule["actions"][1]
    assert answer["changed"] == len(answer["changes"]) > 0
    assert f"{answer['changed']:,} of {SIZE:,} signals" in page.read_text("utf-8")


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("ours", "utf-8")
    refused = CliRunner().invoke(corpus, ["--out", str(tmp_path), "--signals", "100"])
    assert (refused.exit_code, "holds something else" in refused.output) == (2, True)
    assert [(one.name, one.read_text("utf-8")) for one in tmp_path.iterdir()] == [("README.md", "ours")]
    for _ in range(2):
        assert CliRunner().invoke(corpus, ["--out", str(tmp_path / "new"), "--signals", "100"]).exit_code == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--since", "3d"], "--since is for the ledger"),
        (["--html", "nowhere/report.html"], "there is no folder nowhere"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_the_work(folder: Path, more: list[str], told: str) -> None:
    refused = CliRunner().invoke(cli, ["rules", "diff", str(RULES), "--corpus", str(folder), *more])
    assert (refused.exit_code, told in refused.output) == (2, True), refused.output


def test_the_corpus_is_made_of_what_webhooks_make() -> None:
    wish = Wish(7, 200)
    for line in lines(wish, bootstrap.load_sources(Settings()), bootstrap.load_needs()):
        vendor = line["signal"]["payload"].get("vendor")
        assert line["signal"]["source"] != "hubspot" or vendor["portal_id"] == "24681357"


def test_open_deals_are_those_that_are_not_closed_however_they_move() -> None:
    made = world.make(7, START, 40)
    place = (mix.WON, 1, mix.WON + 1, 0, 2)
    for number, deal in enumerate(made.deals * 2):
        made.move(deal, place[number % len(place)], START)
        if number % 7 == 0:
            made.add_deal(deal.account, START, number % 7, timedelta(days=3))
        still = [one for one in made.deals if not one.is_closed]
        assert _picked(made, lambda one: one.open_deal()) == _picked(made, lambda one, of=still: one.chance.choice(of))


def _picked(made: world.World, pick: Callable[[world.World], world.Deal]) -> list[str]:
    """The ids of the next deals that are picked; the chance of the world is left as it was."""
    state = made.chance.getstate()
    ids = [pick(made).id for _ in range(5)]
    made.chance.setstate(state)
    return ids
