"""The one table of queues: what each carries, how hard it is tried, and who works it.

The Procfile, the worker command, the feeder and the console all read this table.
"""

from dataclasses import dataclass
from typing import Final

PRIORITIES: Final = ("immediate", "high", "standard", "low")
STAGES: Final = ("enrich", "decide", "execute")
LLM: Final = "llm"
"""In a queue's name: the second pass of decide, which asks a language model about what rules left open."""
URGENT: Final = ("immediate", "high")
NOTIFY: Final = "notify"
"""In a queue's name: what people are asked to approve, and told of it."""
WAYS: Final = ("slack", "email")
"""By which they are; each has queues of its own."""
QUARANTINE: Final = "quarantine"
"""In a queue's name and `priority`: it holds what was in work when its worker died, see revpipe/quarantine.py.

The row keeps its own priority and leaves with the next stage.
"""
RECHECK: Final = "recheck"
"""In a queue's name: actions that were approved, whose facts are looked at once more before they go out."""
OUTBOUND: Final[dict[str, int]] = {"hubspot": 100, "slack": 1, "drafts": 100}
"""Outside systems that actions go to, and how many actions one message to them may carry.

Each has queues of its own, so that a slow one delays only itself. Where a call carries one action (Slack), a
message does too: it would otherwise hold a worker for as long as the vendor's rate lets all of them through.
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. Times are seconds."""

    name: str
    task: str
    """The Celery task that its messages name."""
    priority: str
    process: str
    """The process type whose workers consume it at least."""
    chunk: int
    """How many ids one message carries at the most."""
    depth: int
    """How many messages the broker holds at the most; the rest waits in the ledger."""
    attempts: int
    """How often a row is tried before it is buried."""
    backoff: float
    """The first wait after a failure; it doubles from try to try."""
    backoff_cap: float
    """The longest wait, and how long a row is parked whose tries a vendor's trouble has used up."""
    time_limit: float
    """How long one message should take at the most; longer is logged, since nothing can end a thread."""
    threads: int
    """How many messages a process takes on at once; one that works several kinds takes the most of theirs."""


WAITING: Final = 4
"""Threads for work that mostly waits for vendors."""
COMPUTING: Final = 2
"""Threads for work that computes: Python lets one compute at a time, and meanwhile the other waits for the ledger. More
of it needs further processes; docs/decisions/025-threads-by-kind-of-work.md has the measurements."""
LOW_BOUND_SECONDS: Final = 20.0
"""Within that a low chunk that was sent is claimed, whatever floods the other queues: a worker of 19 queues and four
slots comes to each of the eight chunks that may be before it after 18 others of half a second at the most. Where urgent
work fills the machine that it shares (tasks/giving_way.py), it may wait longer."""
GROUP: Final = 10
"""How many rows pass quarantine together that have not yet died there."""
_CHUNK: Final = {"immediate": 10, "high": 20, "standard": 300, "low": 300}
"""As much as pays; docs/decisions/015-chunks-and-fairness.md has the measurements."""


def _stage_queue(stage: str, priority: str) -> Queue:
    return Queue(
        name=f"{stage}.{priority}",
        task=stage,
        priority=priority,
        process=stage,
        chunk=_CHUNK[priority],
        depth=16 if priority in URGENT else 8,
        attempts=8 if stage == "enrich" else 5,
        backoff=2.0,
        backoff_cap=120.0,
        time_limit=60.0,
        threads=WAITING if stage == "enrich" else COMPUTING,
    )


def _quarantine(prefix: str, task: str, process: str, chunk: int) -> Queue:
    """One message in work at a time, whatever the workers' number: the feed sends the next when the last is through."""
    return Queue(f"{prefix}.{QUARANTINE}", task, QUARANTINE, process, chunk, 1, 8, 2.0, 120.0, 60.0, COMPUTING)


def _llm_queue(priority: str) -> Queue:
    """A message is one question, which takes seconds: who waits for it shall not wait for others' as well."""
    return Queue(
        name=left_open(priority),
        task="decide_llm",
        priority=priority,
        process=LLM,
        chunk=1,
        depth=4,
        attempts=5,
        backoff=2.0,
        backoff_cap=30.0,
        time_limit=60.0,
        threads=WAITING,
    )


def _recheck_queue(priority: str) -> Queue:
    return Queue(
        name=f"{RECHECK}.{priority}",
        task=RECHECK,
        priority=priority,
        process="enrich",
        chunk=_CHUNK[priority],
        depth=16 if priority in URGENT else 8,
        attempts=8,
        backoff=2.0,
        backoff_cap=120.0,
        time_limit=60.0,
        threads=WAITING,
    )


def left_open(priority: str) -> str:
    """The queue of signals of a priority that wait for a language model."""
    return f"decide.{LLM}.{priority}"


def _action_queue(adapter: str, priority: str) -> Queue:
    return Queue(
        name=f"execute.{adapter}.{priority}",
        task="act",
        priority=priority,
        process="act",
        chunk=min(_CHUNK[priority], OUTBOUND[adapter]),
        depth=16 if priority in URGENT else 8,
        attempts=8,
        backoff=2.0,
        backoff_cap=120.0,
        time_limit=60.0,
        threads=WAITING,
    )


def notices(way: str, priority: str) -> str:
    """The queue of what people are asked and told by one way."""
    return f"{NOTIFY}.{way}.{priority}"


def _notice_queue(way: str) -> Queue:
    """A message is one call, and a person waits for it."""
    return Queue(notices(way, "high"), NOTIFY, "high", "act", 1, 16, 8, 2.0, 120.0, 60.0, WAITING)


QUEUES: Final[dict[str, Queue]] = {
    queue.name: queue
    for queue in (
        *(_stage_queue(stage, priority) for stage in STAGES for priority in PRIORITIES),
        *(_action_queue(adapter, priority) for adapter in OUTBOUND for priority in PRIORITIES),
        *(_llm_queue(priority) for priority in PRIORITIES),
        *(_recheck_queue(priority) for priority in PRIORITIES),
        *(_quarantine(stage, stage, stage, GROUP) for stage in STAGES),
        _quarantine(f"decide.{LLM}", "decide_llm", LLM, 1),
        _quarantine(RECHECK, RECHECK, "enrich", GROUP),
        *(_quarantine(f"execute.{name}", "act", "act", min(GROUP, most)) for name, most in OUTBOUND.items()),
        *(_notice_queue(way) for way in WAYS),
        *(_quarantine(f"{NOTIFY}.{way}", NOTIFY, "act", 1) for way in WAYS),
        Queue("maintenance", "maintenance", "low", "execute", 1, 8, 3, 5.0, 300.0, 300.0, COMPUTING),
    )
}

NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "enrich": ("hubspot_access_token",),
    RECHECK: ("hubspot_access_token",),
    "execute.hubspot": ("hubspot_access_token",),
    "execute.slack": ("slack_bot_token", "slack_default_channel"),
    "notify.slack": ("slack_bot_token",),
}
"""Settings without which a worker of queues with this prefix must not start."""


def queue_for(stage: str, priority: str, adapter: str | None = None) -> str:
    """The queue for a stage and priority, or for the actions of one adapter."""
    return f"{stage}.{adapter}.{priority}" if adapter else f"{stage}.{priority}"


def quarantine_of(queue: str) -> str:
    """The queue for rows of `queue` whose worker died."""
    return f"{queue.rpartition('.')[0]}.{QUARANTINE}"


def is_quarantine(queue: str) -> bool:
    """Whether rows of `queue` are worked one at a time because a worker died with them."""
    return queue.endswith("." + QUARANTINE)


def select(words: tuple[str, ...]) -> tuple[str, ...]:
    """The queues that `words` mean: a process type (`execute`), a priority, a queue, a prefix, or `all`.

    A process type wins over a prefix: `execute` is the stage's own queues, `execute.slack` those of one adapter. A
    word with a minus in front takes its queues away again. Raises ValueError for a word that means nothing.
    """
    chosen: dict[str, None] = {}
    for signed in words:
        hits = _meant(signed.removeprefix("-"))
        if not hits:
            raise ValueError(f"no queue is named {signed.removeprefix('-')!r}; there are: {', '.join(QUEUES)}")
        if signed.startswith("-"):
            chosen = {name: None for name in chosen if name not in hits}
        else:
            chosen.update(dict.fromkeys(hits))
    return tuple(chosen)


def _meant(word: str) -> list[str]:
    if word == "all":
        return list(QUEUES)
    by_type = [name for name, queue in QUEUES.items() if word in (queue.process, queue.priority)]
    return by_type or [name for name in QUEUES if name == word or name.startswith(word + ".")]


def threads_of(queues: tuple[str, ...]) -> int:
    """How many threads a worker process of `queues` has unless it is told otherwise."""
    return max(QUEUES[name].threads for name in queues)


def needed_settings(queues: tuple[str, ...]) -> tuple[str, ...]:
    """The settings without which a worker of `queues` can't do its work."""
    needed: dict[str, None] = {}
    for prefix, names in NEEDS.items():
        if any(queue == prefix or queue.startswith(prefix + ".") for queue in queues):
            needed.update(dict.fromkeys(names))
    return tuple(needed)
