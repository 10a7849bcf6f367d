"""`python -m adapters.sandbox.play`: plays the demo's story, a step for each line on standard input.

Prints one JSON object a step: day, vendor, title, note, and revpipe's answer; then `null`. The URLs and keys come
from the environment: SANDBOX_URL, REVPIPE_URL, HUBSPOT_CLIENT_SECRET, GONG_PRIVATE_KEY.
"""

import json
import os
import sys
from datetime import UTC, datetime

from adapters.sandbox.player import Player
from adapters.sandbox.scenarios import demo


def main() -> None:
    """Play on until the story or the input ends."""
    player = Player(
        os.environ["SANDBOX_URL"],
        os.environ["REVPIPE_URL"],
        os.environ["HUBSPOT_CLIENT_SECRET"],
        os.environ["GONG_PRIVATE_KEY"],
    )
    steps = iter(demo.story(datetime.now(UTC)).steps)
    while sys.stdin.readline():
        step = next(steps, None)
        if step is None:
            _print(None)
            return
        answer = player.play(step)
        told = {"day": step.day, "vendor": step.vendor, "title": step.title, "note": step.note}
        _print({**told, "status": answer.status, "answer": answer.json()})


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
