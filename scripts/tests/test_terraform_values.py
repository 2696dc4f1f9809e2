"""Patterns in validations of Terraform variables: accepted and refused values.

A run of `terraform test` per value would take minutes. The runs in `terraform/` prove only that the patterns are used.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from scripts.repository import REPOSITORY

MODULES = REPOSITORY / "terraform" / "modules"
LAMBDA = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/"
FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:"


@cache
def pattern(module: str, variable: str, expression: str) -> re.Pattern[str]:
    """Return the pattern for an expression in a variable's validation."""
    text = "".join(file.read_text(encoding="utf-8") for file in (MODULES / module).glob("*.tf"))
    block = text.partition(f'variable "{variable}" {{')[2].partition("\n}\n")[0]
    (found,) = re.findall(rf'can\(regex\("([^"]+)", {re.escape(expression)}', block)
    return re.compile(found)


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("", True),
        ("/chat", True),
        ("/_aws/execute-api/a/s", True),
        ("/v1.2/~team/a-b_c", True),
        ("/.well-known", True),
        ("/..chat/...", True),
        ("/", False),
        ("/chat/", False),
        ("//chat", False),
        ("/chat//v1", False),
        ("/.", False),
        ("/chat/.", False),
        ("/./chat", False),
        ("/..", False),
        ("/chat/../v1", False),
        ("/ch%61t", False),
        ("/chat%2Fv1", False),
        ("/chat room", False),
        ("/chat+room", False),
        ("/chät", False),
        ("/chat?stage=v1", False),
        ("/chat#v1", False),
        ("/{domain}", False),
        ("/chat\n", False),
    ],
)
def test_base_path_is_sent_as_it_is_signed(path: str, taken: bool) -> None:
    """A path that a client or proxy may normalise or encode again is refused."""
    expression = 'replace(replace(var.management_endpoint, "{api_id}"'
    wanted = pattern("backend", "management_endpoint", expression)
    # Terraform's `$` matches only at the end of the text; Python's also matches before a final newline.
    assert (wanted.fullmatch(f"https://ws.example.com:8443{path}") is not None) == taken


@pytest.mark.parametrize("url", ["ws.example.com", "ftp://ws.example.com", "https://", "https://user@ws.example.com"])
def test_endpoint_is_a_url_of_a_host(url: str) -> None:
    """Another scheme and a user name are refused."""
    expression = 'replace(replace(var.management_endpoint, "{api_id}"'
    assert pattern("backend", "management_endpoint", expression).fullmatch(url) is None


@pytest.mark.parametrize(("module", "variable"), [("backend", "additional_routes"), ("websocket-api", "routes")])
@pytest.mark.parametrize(
    ("key", "taken"),
    [
        ("search", True),
        ("search/room", True),
        ("v1.search:room@team", True),
        ("k" * 128, True),
        ("", False),
        ("*", False),
        ("search*", False),
        ("sear?h", False),
        ("search room", False),
        ("search\t", False),
        ("search\n", False),
        ("${aws:username}", False),
        ("a$b", False),
        ("sühne", False),
    ],
)
def test_route_key_is_no_pattern_in_an_arn(module: str, variable: str, key: str, taken: bool) -> None:
    """A key with a wildcard would permit other routes to invoke the function."""
    assert (pattern(module, variable, "key)").fullmatch(key) is not None) == taken


@pytest.mark.parametrize(
    ("invoke_arn", "taken"),
    [
        (f"{LAMBDA}{FUNCTION}search/invocations", True),
        (f"{LAMBDA}{FUNCTION}search:live/invocations", True),
        (f"{LAMBDA}{FUNCTION}search:7/invocations", True),
        (f"{LAMBDA}{FUNCTION}search:$LATEST/invocations", False),
        (f"{LAMBDA}{FUNCTION}search", False),
        (f"{FUNCTION}search", False),
        ("arn:aws:apigateway:eu-central-1:sqs:path/111122223333/queue/invocations", False),
        (f"{LAMBDA}arn:aws:sqs:eu-central-1:111122223333:search/invocations", False),
        (f"{LAMBDA}{FUNCTION}*/invocations", False),
        (f"x{LAMBDA}{FUNCTION}search/invocations", False),
    ],
)
def test_invoke_arn_is_a_functions(invoke_arn: str, taken: bool) -> None:
    """A function, a version or an alias; Lambda accepts no permission for $LATEST by name."""
    assert (pattern("backend", "additional_routes", "route.invoke_arn").fullmatch(invoke_arn) is not None) == taken
