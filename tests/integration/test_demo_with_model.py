"""The demo with a simulated language model: the same story each time, one signal of it decided by the model."""

import pytest

from tests.integration.formation_fixtures import data_folder, run

pytestmark = pytest.mark.timeout(400)
LEFT_OPEN = "deal.property_changed → nothing due (llm)"


@pytest.mark.parametrize(("provider", "model"), [("anthropic", "claude-haiku-4-5"), ("openai", "gpt-5.4-mini")])
def test_one_signal_of_the_demo_is_left_to_the_model(provider: str, model: str) -> None:
    with data_folder() as folder:
        done = run("demo", "--exit", "--port", "0", "--data-dir", str(folder), LLM_PROVIDER=provider)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(LEFT_OPEN) == 1
    assert done.stdout.count("(llm)") == 1
    assert done.stdout.count(model) == 1
