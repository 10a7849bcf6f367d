"""What tests/unit/test_forking.py has forked: it says what it finds itself to be."""

import atexit
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    atexit.register(sys.stdout.write, "the exit handler ran\n")
    name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    sys.stdout.write(f"{sys.argv[1:]} {os.environ['WORD']} {os.getpid()} {os.getsid(0)} {name}\n")
    sys.exit(7)
