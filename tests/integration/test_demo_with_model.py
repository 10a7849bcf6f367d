"""The demo with a simulated language model: the same story each time, one signal of it decided by the model."""

import pytest

from tests.integration.formation_fixtures import data_folder, run

pytestmark = pytest.mark.timeout(400)
LEFT_OPEN = "deal.property_changed → nothing due (llm)"


def test_one_signal_of_the_demo_is_left_to_the_model() -> None:
    """By one of the two clients: what they do is the same to a demo, and contract tests compare them."""
    with data_folder() as folder:
        done = run("demo", "--exit", "--port", "0", "--data-dir", str(folder), LLM_PROVIDER="openai")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(LEFT_OPEN) == 1
    assert done.stdout.count("(llm)") == 1
    assert done.stdout.count("gpt-5.4-mini") == 1
