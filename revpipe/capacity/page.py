"""docs/scale.md: what one dyno carries, what is full first, and what to change then.

`python -m revpipe.capacity.page` writes it anew; every figure in it is of config/costs.json, config/retention.yaml or
the code's own tables.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from revpipe import retention as retentions
from revpipe.capacity import table
from revpipe.capacity.connections import EACH_WEB_PROCESS, HELD, WORKER_THREADS
from revpipe.capacity.costs import SHAPES, Costs, load
from revpipe.capacity.estimate import DYNOS, MONTH_DAYS, Estimate, Limit, estimate
from revpipe.capacity.table import number
from revpipe.capacity.wanted import USUAL_MIX, Wanted
from revpipe.gate import HUBSPOT_PER_10S, LIMITS
from revpipe.retention import Retention

VOLUMES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
SHOWN: Final = 1_000_000
_COMMAND: Final = "`revpipe capacity --signals-per-day {}`"

_INTRO: Final = """# How far it goes

This page is made by `python -m revpipe.capacity.page`, which `make costs` runs after a benchmark; change the code or
`config/costs.json`, not the page. Any line of it can be had for other figures: `revpipe capacity --help`.

A dyno here has one processor, as fast as one of the machine that measured. Unless a table says otherwise, signals
arrive as {mix} (per cent), {acts:.0%} of them lead to an action, {alerts:.0%} of the actions are Slack
messages, {peak:.0%} of a day's volume falls into its busiest hour, {headroom:.0%} of each dyno stays free then, a
vendor takes {vendor_ms:.0f} ms to answer, and the database has {processors:g} processors.
"""

_DYNOS: Final = """## What one dyno carries

Full to the brim. A worker is full when its {threads} threads all wait for vendors or its processor is busy, whichever
comes first: `WORKER_CONCURRENCY` gives it more threads, one database connection each. Of keeper and beat one does the
work, and a second keeper stands by. From two workers on, some had better be of the lines for urgent work or for one
stage ([operations](operations.md#processes)). A web process more (`WEB_CONCURRENCY`) holds {database} connections to
the database and {redis} to Redis. Yielded by {command} with `--mix single=100`, `batch=100`, `file=100` and without.

"""

_VOLUMES: Final = """## What a volume needs

Disk as `config/retention.yaml` keeps it; a month has {days} days. Above 100 % used, what is too much waits for a
quieter hour, or longer and longer if the day has none.

"""

_EACH: Final = """## What one signal costs

Milliseconds of processor time by process, and calls to the CRM, of a system that is always busy: there signals share
their messages, and the deeper the backlog the more of them. One that travels alone costs several times as much and
makes {alone} calls to the CRM. There is time for that, but a day's calls are counted so. Yielded by `make bench`, then
`make costs`.

"""

_FIRST: Final = """## What is full first

Dynos can be added; these can't. In the order in which they are met as the volume grows, for the mix above:
{three}.
Yielded by {command}.

"""

_VENDORS: Final = """### When a vendor's limit is full

Nothing is lost and no dyno helps: work waits in the ledger, the urgent first, and `revpipe queues` shows its age.

- **Make fewer calls.** Calls in a second fall by themselves, for what waits shares its calls; a day's calls do not,
  since most singles come when nothing waits. Subscribe to the properties that rules listen to and no others. Batches
  cost a fraction of singles (the table above): HubSpot itself packs up to a hundred events into a request when they
  come together.
- **Be allowed more.** HubSpot's API add-on raises its limit to 250 calls in 10 s and the day by a million; then set
  `HUBSPOT_CALLS_PER_10S=250` and run `revpipe capacity` with that setting. {free} of {theirs} calls in 10 s are left to
  others with the same token, see `LIMITS` in `revpipe/gate.py`. The day's calls are not metered by us: HubSpot answers
  429 until midnight of the account's time zone, and the work waits for that.
- **Slack** takes about {post:g} message a second in one channel and, all channels together, {posts:g} a second of ours.
  Name more channels in the rules, or alert less.
"""

_DATABASE: Final = """### When the database is full of writes

- **A larger plan first**: writes scale with its processors and its disk, and nothing else has to change.
- **Connections** may be full long before the processors: the table of volumes has their sum. Put PgBouncer between,
  in transaction mode, and set `DATABASE_PREPARED=false`. That means here: statements are no longer prepared, and
  sessions no longer bring their own limits along, for a pooler refuses those. So give the role what they would have
  set: `ALTER ROLE … SET statement_timeout = '30s'`, `SET idle_in_transaction_session_timeout = '60s'` and
  `SET timezone = 'UTC'`. The second is what frees the locks of a machine that is gone without a word. No session state
  is used otherwise: no LISTEN, no advisory lock beyond a transaction.
- **Partitions.** The trail and the deliveries have one for each month and lose whole months, which costs no writes.
  Signals, contexts, plans and actions are not partitioned: their rows are deleted in batches by `revpipe prune`.
  Shorter times in `config/retention.yaml` make all of them smaller; what is asked of the ledger costs the same at any
  size ([decision 017](decisions/017-growth.md)).
- **A read replica** takes no writes off the server. It is for questions of people: `DATABASE_URL` of a replica will do
  for `revpipe trace`, `signals`, `queues` and `balance` run by hand, which then lag by as much as the replica does.
  Web, workers and keeper need the primary. There is no setting of its own for a replica.
"""

_BROKER: Final = """### When the broker is full

Redis and Valkey execute commands on one processor. What helps, in this order:

- **Fuller messages.** They come by themselves: the deeper the backlog the larger the chunks
  ([decision 015](decisions/015-chunks-and-fairness.md)). The figures above are of a system that is always busy.
- **Messages on a broker of their own**: `BROKER_URL` to a second Redis leaves `REDIS_URL` with rates and circuits only.
- **RabbitMQ with quorum queues**: `BROKER_URL=amqps://…`. It uses all processors and spreads over nodes, loses nothing
  when a worker dies, and publishes more slowly, for each message waits for its confirmation
  ([decision 010](decisions/010-rabbitmq.md)). It was not part of the benchmark, so no figure for it is given here.
- **Not Redis Cluster**: Celery's transport doesn't speak it, and a rate token is taken from several keys in one step,
  which a cluster refuses unless they lie in one slot. A larger single Redis does the same for longer.

No signal is in the broker, only ids ([decision 001](decisions/001-ledger-is-the-truth.md)). So it can be changed at
any time: once all processes run with the new `BROKER_URL`, the keeper sends again what was in the old one.
"""


def page(costs: Costs, retention: Retention) -> str:
    """The whole page, as Markdown."""
    usual = Wanted(SHOWN)
    found = estimate(usual, costs, retention)
    intro = _INTRO.format(
        mix=USUAL_MIX,
        acts=usual.acts,
        alerts=usual.alerts,
        peak=usual.peak,
        headroom=usual.headroom,
        vendor_ms=1000 * usual.vendor_s,
        processors=usual.database_processors,
    )
    sections = (
        intro + "\n" + "\n".join(table.source(costs)) + "\n",
        _dynos(costs, retention, found),
        _volumes(costs, retention),
        _each(costs, usual),
        _bottlenecks(found),
        _vendors(),
        _DATABASE,
        _BROKER,
    )
    return "\n".join(sections)


def _dynos(costs: Costs, retention: Retention, found: Estimate) -> str:
    shapes = (f"{shape}, signals/s" for shape in SHAPES)
    heads = ("dyno", *shapes, "the mix, signals/s", "bound by", "database connections", "Redis connections")
    alone = {
        shape: estimate(Wanted(SHOWN, {**dict.fromkeys(SHAPES, 0.0), shape: 1.0}), costs, retention) for shape in SHAPES
    }
    rows = []
    for kind in DYNOS:
        rates = [_rate(one.dyno(kind).carries) for one in (*alone.values(), found)]
        held = HELD[kind]
        rows.append((f"`{kind}`", *rates, found.dyno(kind).bound_by, str(held.database), str(held.redis)))
    words = _DYNOS.format(
        threads=WORKER_THREADS,
        database=EACH_WEB_PROCESS.database,
        redis=EACH_WEB_PROCESS.redis,
        command=_command(SHOWN),
    )
    return words + _markdown(heads, rows)


def _rate(value: float | None) -> str:
    return "any" if value is None else number(value)


def _volumes(costs: Costs, retention: Retention) -> str:
    ends = ("database connections", "Redis connections", "disk a month, GB", "in the end, GB", "full first", "used")
    heads = ("signals a day", "busiest hour, signals/s", *DYNOS, *ends, "command")
    rows = []
    for volume in VOLUMES:
        found = estimate(Wanted(volume), costs, retention)
        first = found.first
        _, *_, (_, month, _, end) = table.kept_rows(found)
        counts = [f"{found.dyno(kind).count:,}" for kind in DYNOS]
        sums = (f"{found.database_connections:,}", f"{found.redis_connections:,}")
        told = (month, end, first.name, f"{first.used:.0%}", _command(volume))
        rows.append((f"{volume:,}", number(found.per_second), *counts, *sums, *told))
    words = _VOLUMES.format(days=MONTH_DAYS)
    return words + _markdown(heads, rows)


def _each(costs: Costs, usual: Wanted) -> str:
    heads = ("a signal of", "web", "worker", "keeper", "PostgreSQL", "Redis", "reads", "writes", "WAL, kB")
    rows = []
    for shape, words in SHAPES.items():
        cost = costs.shapes[shape]
        times = [number(cost.cpu_ms[name].at(usual.acts)) for name in ("web", "worker", "keeper", "postgres", "valkey")]
        wal = "not measured" if cost.wal_bytes is None else number(cost.wal_bytes.at(usual.acts) / 1000)
        calls = (number(cost.reads.at(usual.acts)), number(cost.writes.at(usual.acts)))
        rows.append((f"{shape}: {words}", *times, *calls, wal))
    words = _EACH.format(alone=number(costs.alone.at(usual.acts)))
    return words + _markdown(heads, rows)


def _bottlenecks(found: Estimate) -> str:
    heads = ("what there is one of", "full at signals/s", "full at signals a day", f"used by {SHOWN:,} a day", "most")
    rows = [
        (
            one.name,
            number(one.per_second),
            number(one.per_day),
            f"{one.used:.0%}",
            f"{number(one.most)} {one.unit}",
        )
        for one in found.limits
    ]
    words = _FIRST.format(three=_three(found.limits), command=_command(SHOWN))
    return words + _markdown(heads, rows)


def _three(limits: Sequence[Limit]) -> str:
    """The kinds in the order of their first limit."""
    kinds: dict[str, str] = {}
    for one in limits:
        kind = next((word for word in ("broker", "database") if word in one.name), "vendors")
        if "keeper" not in one.name:
            kinds.setdefault(kind, f"{kind} at {number(one.per_second)} signals/s")
    return ", then ".join(kinds.values())


def _vendors() -> str:
    default, post, posts = LIMITS["hubspot", "default"], LIMITS["slack", "post"], LIMITS["slack", "post:*"]
    return _VENDORS.format(
        free=HUBSPOT_PER_10S - default.tokens - default.burst,
        theirs=HUBSPOT_PER_10S,
        post=post.tokens / post.per_seconds,
        posts=posts.tokens / posts.per_seconds,
    )


def _command(volume: int) -> str:
    return _COMMAND.format(volume)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["---" if at == 0 else "---:" for at in range(len(heads))]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (heads, marks, *rows))


def write(root: Path) -> Path:
    """Write docs/scale.md under the project's folder `root` and return its path."""
    costs = load((root / "config/costs.json").read_text("utf-8"), "config/costs.json")
    kept = retentions.load((root / "config/retention.yaml").read_text("utf-8"), "config/retention.yaml")
    target = root / "docs/scale.md"
    target.write_text(page(costs, kept), "utf-8")
    return target


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2])
