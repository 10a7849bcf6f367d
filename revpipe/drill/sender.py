"""The vendors' side of a rehearsal: the process that signs and posts, and what it says was taken."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from revpipe.drill.traffic import Step
from revpipe.local.far_side import HUBSPOT_SECRET, FarSide


@dataclass(slots=True)
class Sender:
    """Hands steps to the sending process, and notes which events it began to send and which were taken."""

    process: "subprocess.Popen[str]"
    sent: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    tries: int = 0
    deliveries: int = 0
    _listener: threading.Thread | None = None

    def listen(self) -> None:
        """Begin to note what the process says."""
        self._listener = threading.Thread(target=self._note, name="sender", daemon=True)
        self._listener.start()

    def give(self, step: Step) -> None:
        """Let one step be done and told. Raises BrokenPipeError if the process is gone."""
        if self.process.stdin is None:
            raise BrokenPipeError("the sender has no input")
        told = {"changes": step.changes, "call": step.call, "hold": step.hold, "repeats": step.repeats}
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """No more steps: the process goes on until all was taken."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    @property
    def finished(self) -> bool:
        """Whether all was taken and noted."""
        return self.process.poll() is not None and not (self._listener and self._listener.is_alive())

    def _note(self) -> None:
        for line in self.process.stdout or ():
            told = json.loads(line)
            self.sent.update(told.get("sent", ()))
            if "taken" in told:
                self.taken.update(told["taken"])
                self.tries += told["tries"]
                self.deliveries += 1


@contextmanager
def sending(vendors: FarSide, url: str, environment: dict[str, str]) -> Iterator[Sender]:
    """A sender from `vendors` to the web process at `url`, for the length of a block."""
    keys = {
        "SANDBOX_URL": vendors.url,
        "REVPIPE_URL": url,
        "HUBSPOT_CLIENT_SECRET": HUBSPOT_SECRET,
        "GONG_PRIVATE_KEY": vendors.gong_private_key,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.sandbox.send"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, **keys},
        start_new_session=True,
    )
    sender = Sender(process)
    sender.listen()
    try:
        yield sender
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            sender.close()
        for stream in (process.stdout,):
            if stream is not None:
                stream.close()
