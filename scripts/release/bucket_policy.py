"""The policy of a bucket from which other accounts take zips."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scripts.release.git import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = re.compile("[0-9]{12}")
ORGANIZATION = re.compile("o-[a-z0-9]{10,32}")
"""See https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html."""


def readers(accounts: Sequence[str], organization: str | None, partition: str) -> dict[str, Any]:
    """Return the parts of a statement that say who reads.

    Args:
        accounts: Ids of accounts.
        organization: Id of an organisation, all accounts of which read.
        partition: Partition of the bucket, like ``aws``.

    Raises:
        ReleaseError: An id has another form, or both kinds are given, or none.
    """
    if wrong := [account for account in accounts if not ACCOUNT.fullmatch(account)]:
        raise ReleaseError(f"{', '.join(wrong)}: an account's id has 12 digits")
    if organization is not None and not ORGANIZATION.fullmatch(organization):
        raise ReleaseError(f"{organization}: an organisation's id is o- and 10 to 32 lower-case letters or digits")
    if bool(accounts) == (organization is not None):
        raise ReleaseError("a bucket policy is for accounts or for an organisation")
    if organization is not None:
        return {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization}}}
    return {"Principal": {"AWS": [f"arn:{partition}:iam::{account}:root" for account in accounts]}}


def bucket_policy(bucket: str, prefix: str, partition: str, readers: dict[str, Any]) -> dict[str, Any]:
    """Return the policy: these readers get objects below the prefix, and requests without TLS are refused.

    They have no right to list the bucket, so that S3 answers AccessDenied for a key that does not exist.

    Args:
        bucket: Name of the bucket.
        prefix: Prefix of the keys.
        partition: Partition of the bucket.
        readers: What :func:`readers` returns.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReadRoomcast",
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": f"{arn}/{prefix}/*",
                **readers,
            },
            {
                "Sid": "RefuseWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
