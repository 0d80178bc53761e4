"""The description fits the interface: requests made up from it get answers that it describes."""

from collections import Counter
from contextlib import suppress

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from scripted_robot import Gateway

BOUNDS = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
# A stream has no end to wait for.
STREAMS = ("/stream", "/camera.mjpg")
UNWANTED = {
    # A session's name is any printable text, which no pattern of JSON schema tells.
    "positive_data_acceptance",
    # In a form everything is text, also what was meant to be something else.
    "negative_data_rejection",
}
PROBLEMS = {"401", "403", "408", "413", "421", "429", "500", "503"}


@pytest.fixture
def described(gateway: Gateway) -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_to_made_up_requests_are_those_described(
    described: schemathesis.schemas.BaseSchema, mode: GenerationMode
) -> None:
    checks = [check for check in CHECKS.get_all() if check.__name__ not in UNWANTED]
    asked: Counter[str] = Counter()

    def check(case: schemathesis.Case) -> None:
        asked[case.operation.definition.raw["operationId"]] += 1
        case.call_and_validate(checks=checks)

    for found in described.get_all_operations():
        operation = found.ok()
        if operation.path not in STREAMS:
            with suppress(Unsatisfiable):  # one without arguments cannot be asked wrongly
                BOUNDS(given(case=operation.as_strategy(generation_mode=mode))(check))()
    print(dict(asked))
    assert asked.keys() >= {"chat", "getSession", "forgetSession", "analyze"}


def test_every_operation_is_named_and_tells_its_problems(gateway: Gateway) -> None:
    description = httpx.get(f"{gateway.url}/openapi.json", trust_env=False).json()
    names = set()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            names.add(operation["operationId"])
            assert operation["summary"], (method, path)
            assert set(operation["responses"]) >= PROBLEMS, (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    assert len(names) == 15
    assert "HTTPValidationError" not in description["components"]["schemas"]
