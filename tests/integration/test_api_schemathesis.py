"""The API against its own document: whatever schemathesis makes of the one, the other answers as it says."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from revpipe.services import Services
from tests.integration.api_fixtures import Called, answering, for_api, furnish

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("REVPIPE_API_EXAMPLES", "5"))
"""Made up for each operation, beside those that cover every parameter and value. Sequences of calls are five times as
many. A run that has the time may ask for more of them."""
MOST = 600
"""Seconds. With few examples it takes less than a minute."""


@pytest.mark.timeout(MOST + 60)
def test_the_api_answers_as_its_document_says(services: Services, tmp_path: Path) -> None:
    furnish(services)
    made = for_api(replace(services, settings=replace(services.settings, api_calls_per_minute=100_000)))
    config = tmp_path / "schemathesis.toml"
    config.write_text(f"{CONFIG.read_text(encoding='utf-8')}\n{amounts(EXAMPLES)}", encoding="utf-8")
    with answering(made) as url:
        token = Called(made, url).as_("admin").token
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config)),
                *("run", f"{url}/api/v1/openapi.json"),
            ],
            env={**os.environ, "REVPIPE_TOKEN": str(token)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=MOST,
            check=False,
        )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-5_000:]
    told = found.stdout
    for phase in ("Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in told, told
    (operations,) = re.findall(r"Selected: (\d+)/\1\n", told)
    assert f"Tested: {operations}\n" in told, told
    assert not re.search(r"\b[1-9]\d* failure", told), told


def amounts(examples: int) -> str:
    """How much of the configuration is how many."""
    return f"""\
[phases.fuzzing.generation]
max-examples = {examples}

[phases.stateful.generation]
max-examples = {5 * examples}
"""
