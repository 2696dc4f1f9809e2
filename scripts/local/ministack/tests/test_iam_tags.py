"""Tags of roles."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from scripts.local.ministack.tests.apis import client, create_role


@pytest.mark.parametrize(
    ("tag", "place"),
    [
        ({"Key": "note", "Value": "a<b&c"}, "tags.2.member.value"),
        ({"Key": "a>b", "Value": "x"}, "tags.2.member.key"),
        ({"Key": "note", "Value": "a\tb"}, "tags.2.member.value"),
    ],
)
def test_a_character_that_iam_does_not_take_is_refused(corrected: str, tag: dict[str, str], place: str) -> None:
    iam, name = client("iam", corrected), f"tagged-{secrets.token_hex(4)}"
    create_role(corrected, name, None)
    with pytest.raises(ClientError, match=rf"ValidationError.*at '{place}' failed to satisfy constraint"):
        iam.tag_role(RoleName=name, Tags=[{"Key": "team", "Value": "chat"}, tag])
    assert tags(iam, name) == []


def test_the_plain_one_answers_with_broken_xml(plain: str) -> None:
    iam, name = client("iam", plain), f"tagged-{secrets.token_hex(4)}"
    create_role(plain, name, None)
    iam.tag_role(RoleName=name, Tags=[{"Key": "note", "Value": "a<b&c"}])
    with pytest.raises(ResponseParserError):
        tags(iam, name)


def test_other_characters_are_kept(corrected: str) -> None:
    iam, name = client("iam", corrected), f"tagged-{secrets.token_hex(4)}"
    create_role(corrected, name, None)
    tag = {"Key": "Ärger 1_.:/=+-@", "Value": "ж _.:/=+-@"}
    iam.tag_role(RoleName=name, Tags=[tag, {"Key": "empty", "Value": ""}])
    assert tags(iam, name) == [tag, {"Key": "empty", "Value": ""}]


def tags(iam: Any, name: str) -> list[dict[str, str]]:
    """Return the tags of a role."""
    found: list[dict[str, str]] = iam.list_role_tags(RoleName=name)["Tags"]
    return found
