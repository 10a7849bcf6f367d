"""The table of queues: complete, consistent, and chosen from by words."""

import pytest

from config import queues
from config.queues import (
    LLM,
    OUTBOUND,
    PRIORITIES,
    QUARANTINE,
    QUEUES,
    RECHECK,
    STAGES,
    WAYS,
    needed_settings,
    queue_for,
    select,
)
from config.settings import Settings
from revpipe import action_policy_file, bootstrap
from revpipe.failures import policy_of
from revpipe.signals import URGENCIES

KINDS = (*PRIORITIES, QUARANTINE)


def test_there_is_a_queue_for_each_stage_adapter_and_priority() -> None:
    expected = {queue_for(stage, priority) for stage in STAGES for priority in KINDS}
    expected |= {queue_for("execute", priority, name) for name in OUTBOUND for priority in KINDS}
    expected |= {f"decide.{LLM}.{kind}" for kind in KINDS}
    expected |= {queue_for("notify", kind, way) for way in WAYS for kind in ("high", QUARANTINE)}
    expected |= {f"{RECHECK}.{kind}" for kind in KINDS}
    assert set(QUEUES) == expected | {"maintenance"}
    assert {queues.left_open(priority) for priority in PRIORITIES} < set(QUEUES)
    assert PRIORITIES == URGENCIES


def test_names_of_queues_say_what_is_in_their_rows() -> None:
    for name, queue in QUEUES.items():
        assert queue.name == name
        if name != "maintenance":
            assert name.endswith("." + queue.priority)
            stage, _, rest = name.partition(".")
            acts = stage == "execute" and "." in rest
            task = "decide_llm" if rest.startswith(LLM + ".") else "act" if acts else stage
            assert queue.task == task


@pytest.mark.parametrize("queue", QUEUES.values(), ids=list(QUEUES))
def test_every_queue_is_bounded_and_has_a_policy_that_holds(queue: queues.Queue) -> None:
    assert queue.chunk >= 1
    assert queue.depth >= 1
    assert 0 < queue.time_limit <= 300
    assert policy_of(queue.name).attempts == queue.attempts >= 1


@pytest.mark.parametrize("queue", QUEUES)
def test_what_dies_in_a_queue_has_a_quarantine_of_the_same_task(queue: str) -> None:
    if queue != "maintenance":
        isolated = QUEUES[queues.quarantine_of(queue)]
        assert queues.is_quarantine(isolated.name)
        assert (isolated.task, isolated.process) == (QUEUES[queue].task, QUEUES[queue].process)
        assert isolated.depth == 1
        assert isolated.chunk <= queues.GROUP


@pytest.mark.parametrize("prefix", [*STAGES, *(f"execute.{name}" for name in OUTBOUND)])
def test_the_more_urgent_the_smaller_the_chunk(prefix: str) -> None:
    sizes = [QUEUES[f"{prefix}.{priority}"].chunk for priority in PRIORITIES]
    assert sizes == sorted(sizes)
    assert sizes[0] <= 10


def test_every_adapter_that_policy_names_has_queues() -> None:
    text = (bootstrap.CONFIG / "actions.yaml").read_text(encoding="utf-8")
    assert {policy.adapter for policy in action_policy_file.load(text).values()} <= set(OUTBOUND)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("enrich.low",), {"enrich.low"}),
        (("enrich",), {f"{name}.{priority}" for name in ("enrich", RECHECK) for priority in KINDS}),
        ((RECHECK,), {f"{RECHECK}.{priority}" for priority in KINDS}),
        (("execute.slack",), {f"execute.slack.{priority}" for priority in KINDS}),
        (("immediate",), {name for name in QUEUES if name.endswith(".immediate")}),
        (("all",), set(QUEUES)),
        (("all", "-low"), {name for name, queue in QUEUES.items() if queue.priority != "low"}),
        (("recheck", "-recheck.low", "recheck.low"), {f"{RECHECK}.{priority}" for priority in KINDS}),
        ((), set()),
    ],
)
def test_words_choose_queues(words: tuple[str, ...], chosen: set[str]) -> None:
    found = select(words)
    assert set(found) == chosen
    assert len(found) == len(chosen)


def test_process_types_together_choose_every_queue() -> None:
    processes = tuple({queue.process for queue in QUEUES.values()})
    assert set(select(processes)) == set(QUEUES)


@pytest.mark.parametrize("word", ["enrichment", "-nothing", "", "enrich."])
def test_a_word_that_means_nothing_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="no queue is named"):
        select((word,))


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (("enrich",), {"hubspot_access_token"}),
        (("recheck.low",), {"hubspot_access_token"}),
        (("decide.low",), set()),
        (("execute.low",), set()),
        (("execute.drafts",), set()),
        (("execute.slack.low",), {"slack_bot_token", "slack_default_channel"}),
        (("all",), {"hubspot_access_token", "slack_bot_token", "slack_default_channel"}),
    ],
)
def test_a_worker_needs_the_settings_of_its_queues_only(words: tuple[str, ...], needed: set[str]) -> None:
    found = needed_settings(select(words))
    assert set(found) == needed
    assert all(hasattr(Settings(), name) for name in found)
