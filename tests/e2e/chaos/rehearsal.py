"""`revpipe drill` as its users run it, in a process of its own, and what it reported."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def drill(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the report of the one seed, and what was said besides."""
    done = subprocess.run(
        [sys.executable, "-m", "revpipe", "drill", "--json", *arguments],
        cwd=ROOT,
        # Addresses that lead nowhere: a rehearsal that used them would fail.
        env={
            **os.environ,
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "REDIS_URL": "redis://127.0.0.1:1/0",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr[-3000:]


def check(seed: int) -> None:
    """Two hundred signals under attack: all accounted for, each effect once, and the attacks were real ones."""
    code, report, said = drill("--seed", str(seed), "--signals", "200", "--minutes", "0.4", "--every", "1.3")
    assert report, said
    assert (report["lost"], report["doubled"], report["in_flight"]) == (0, 0, 0), report
    assert code == 0, said
    assert report["sent"] == report["accepted"] >= 200
    assert sum(report["dispositions"].values()) + report["unknown"] == report["accepted"]
    assert report["dispositions"]["acted"] >= 10
    assert report["effects"] >= 10
    assert report["hits"] >= 10, report["timeline"]
