"""One suite for the port of language models, over both adapters against the simulated providers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adapters import registry
from adapters.sandbox import openai, wire
from adapters.sandbox.server import SandboxServer
from config.settings import Settings
from revpipe.bootstrap import _make, load_llm_policy
from revpipe.errors import CredentialsRefused, Permanent, RateLimited, RevpipeError, TimedOut, Transient
from revpipe.language_model import LanguageModel, Prompt
from revpipe.llm.answer import json_schema, read

SPEC = json.loads((Path(__file__).parent / "specs/openai/chat_completions.cut.json").read_text(encoding="utf-8"))
SCHEMA = json_schema(load_llm_policy().actions)
PROMPT = Prompt("Decide.", '<data>\n{"signal": {"event": "deal.amount_changed"}}\n</data>', SCHEMA, 300)


class NotingGate:
    """Lets all through and notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def spend(self, vendor: str, kind: str) -> None:
        self.told.append(f"spend {vendor} {kind}")

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        self.told.append(f"report {vendor} {kind} {error.code if error else 'answered'}")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture(params=list(registry.MODELS))
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gate() -> NotingGate:
    return NotingGate()


@pytest.fixture
def model(sandbox: SandboxServer, vendor: str, gate: NotingGate) -> LanguageModel:
    return made(sandbox, vendor, gate)


def made(sandbox: SandboxServer, vendor: str, gate: NotingGate, name: str = "model-1") -> LanguageModel:
    settings = Settings(
        anthropic_api_key="sandbox-key",
        anthropic_base_url=f"{sandbox.url}/anthropic",
        openai_api_key="sandbox-key",
        openai_base_url=f"{sandbox.url}/openai/v1",
    )
    one: LanguageModel = _make(registry.MODELS[vendor], settings, gate, name, 0.7)
    return one


def test_an_answer_is_json_of_the_schema_with_its_use_of_tokens(
    model: LanguageModel, gate: NotingGate, vendor: str
) -> None:
    found = model.ask(PROMPT)
    assert (found.ending, found.model, found.request_id) == ("complete", "model-1", "req_sandbox")
    assert read(found.text).actions == ()
    assert found.input_tokens > 0
    assert found.output_tokens > 0
    assert gate.told == [f"spend {vendor} default", f"report {vendor} default answered"]


@pytest.mark.parametrize(("kind", "ending"), [("refusal", "refused"), ("truncation", "truncated")])
def test_an_answer_that_is_none_says_how_it_ended(
    model: LanguageModel, sandbox: SandboxServer, vendor: str, kind: str, ending: str
) -> None:
    sandbox.world.faults.add({"vendor": vendor, "kind": kind})
    assert model.ask(PROMPT).ending == ending


@pytest.mark.parametrize(
    ("fault", "error", "where"),
    [
        ({"kind": "rate_limit", "retry_after": 7}, RateLimited, "429"),
        ({"kind": "error", "status": 500}, Transient, "500"),
        ({"kind": "error", "status": 503}, Transient, "503"),
        ({"kind": "error", "status": 529}, Transient, "529"),
        ({"kind": "error", "status": 400}, Permanent, "400"),
        ({"kind": "error", "status": 401}, CredentialsRefused, "401"),
        ({"kind": "error", "status": 403}, CredentialsRefused, "403"),
        ({"kind": "malformed"}, Transient, "unreadable"),
        ({"kind": "close"}, Transient, "out of reach"),
        ({"kind": "latency", "seconds": 2.0}, TimedOut, "took too long"),
    ],
    ids=str,
)
def test_a_failure_is_one_of_our_errors_reported_once_and_not_tried_again(
    model: LanguageModel,
    sandbox: SandboxServer,
    gate: NotingGate,
    vendor: str,
    fault: dict[str, Any],
    error: type[RevpipeError],
    where: str,
) -> None:
    sandbox.world.faults.add({"vendor": vendor, **fault})
    with pytest.raises(error) as caught:
        model.ask(PROMPT)
    assert type(caught.value) is error
    assert caught.value.where == f"{vendor} {where}"
    assert gate.told == [f"spend {vendor} default", f"report {vendor} default {error.code}"]
    assert [one["hits"] for one in sandbox.world.faults.list()] == [1]
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == 7


def test_a_model_that_is_not_there_is_for_a_person_to_mend(
    sandbox: SandboxServer, gate: NotingGate, vendor: str
) -> None:
    with pytest.raises(CredentialsRefused, match=r"config/llm\.yaml"):
        made(sandbox, vendor, gate, "no-such-model").ask(PROMPT)


def test_simulated_completions_are_as_openai_describes_them(sandbox: SandboxServer) -> None:
    asked = {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": PROMPT.user}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "d", "strict": True, "schema": SCHEMA}},
    }
    for kind in (None, "refusal", "truncation", "nonsense"):
        sandbox.world.faults.clear()
        if kind:
            sandbox.world.faults.add({"vendor": "openai", "kind": kind})
        answer = post(sandbox, asked)
        assert answer.status == 200
        of_spec("CreateChatCompletionResponse", answer.json())
    for status in (429, 500):
        sandbox.world.faults.clear()
        sandbox.world.faults.add({"vendor": "openai", "kind": "error", "status": status})
        answer = post(sandbox, asked)
        assert answer.status == status
        of_spec("ErrorResponse", answer.json())


def test_simulated_completions_refuse_a_schema_that_is_not_strict(sandbox: SandboxServer) -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}
    wanted = {"type": "json_schema", "json_schema": {"name": "d", "strict": True, "schema": loose}}
    messages = [{"role": "user", "content": "x"}]
    assert post(sandbox, {"model": "m", "messages": messages, "response_format": wanted}).status == 400
    assert openai.strict(SCHEMA)


def post(sandbox: SandboxServer, body: Any) -> wire.Answer:
    url = f"{sandbox.url}/openai/v1/chat/completions"
    return wire.send_json("POST", url, body, {"Authorization": "Bearer sandbox-key"})


def of_spec(name: str, value: Any) -> None:
    validator = jsonschema.Draft202012Validator({**SPEC, "$ref": f"#/components/schemas/{name}"})
    assert [error.message for error in validator.iter_errors(value)] == []
