"""The policy of a bucket of zips, and who is named in it."""

from __future__ import annotations

import pytest

from scripts.release.bucket_policy import bucket_policy, readers
from scripts.release.git import ReleaseError

ORGANIZATION = "o-a1b2c3d4e5"


def test_accounts_read_below_the_prefix_and_over_tls_alone() -> None:
    granted = readers(["111122223333", "444455556666"], None, "aws-cn")

    reading, refusing = bucket_policy("zips", "a/b", "aws-cn", granted)["Statement"]

    assert reading == {
        "Sid": "ReadRoomcast",
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "arn:aws-cn:s3:::zips/a/b/*",
        "Principal": {"AWS": ["arn:aws-cn:iam::111122223333:root", "arn:aws-cn:iam::444455556666:root"]},
    }
    assert (refusing["Effect"], refusing["Action"], refusing["Principal"]) == ("Deny", "s3:*", "*")
    assert refusing["Resource"] == ["arn:aws-cn:s3:::zips", "arn:aws-cn:s3:::zips/*"]
    assert refusing["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_an_organisation_reads_by_its_id() -> None:
    assert readers([], ORGANIZATION, "aws") == {
        "Principal": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}},
    }


@pytest.mark.parametrize(
    ("accounts", "organization", "sentence"),
    [
        (["11112222333"], None, "11112222333: an account's id has 12 digits"),
        ([], "a1b2c3d4e5", "a1b2c3d4e5: an organisation's id is o- and"),
        ([], None, "a bucket policy is for accounts or for an organisation"),
        (["111122223333"], ORGANIZATION, "a bucket policy is for accounts or for an organisation"),
    ],
)
def test_other_readers_are_refused(accounts: list[str], organization: str | None, sentence: str) -> None:
    with pytest.raises(ReleaseError, match=sentence):
        readers(accounts, organization, "aws")
