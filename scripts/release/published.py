"""Zips in buckets: under keys made of handler and digest, so that an object never changes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from scripts.build_output import MANIFEST
from scripts.release.contents import FOLDER
from scripts.release.git import ReleaseError
from scripts.release.versions import tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from types_boto3_s3.client import S3Client

    from scripts.release.git import Git

OF_LOCATION = {"": "us-east-1", "EU": "eu-west-1"}
"""Regions of which S3 gives no location, or an old one
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html)."""


class Zip(NamedTuple):
    """A zip to be published.

    Attributes:
        handler: Name of its handler.
        content: Its bytes.
    """

    handler: str
    content: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).digest()

    def key(self, prefix: str) -> str:
        """Return the key, as ``modules/zips`` makes it of the manifest."""
        return f"{prefix}/{self.handler}/{self.digest.hex()}.zip"


def of_folder(folder: Path) -> list[Zip]:
    """Return the zips of a build.

    Raises:
        ReleaseError: There is no build, or a zip differs from the manifest.
    """

    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise ReleaseError(f"{folder / name}: {error.strerror}; run `make build`") from error

    return list(_listed(read))


def of_release(git: Git, version: str) -> list[Zip]:
    """Return the zips of a release.

    Raises:
        ReleaseError: There is no such release, or a zip differs from the manifest.
    """
    return list(_listed(lambda name: git.read("show", f"{tag_of(version)}:{FOLDER}/{name}")))


def _listed(read: Callable[[str], bytes]) -> Iterator[Zip]:
    for handler, entry in json.loads(read(MANIFEST))["handlers"].items():
        for listed in entry.get("zips", {"": entry}).values():
            found = Zip(handler, read(listed["zip"]))
            if found.digest.hex() != listed["sha256"]:
                raise ReleaseError(f"{listed['zip']} is not the one in the manifest")
            yield found


def region_of(s3: S3Client, bucket: str) -> str:
    """Return the Region of a bucket.

    Raises:
        ReleaseError: There is no such bucket, or no right to ask.
    """
    try:
        location = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or ""
    except ClientError as error:
        raise ReleaseError(f"{bucket}: {error}") from error
    return OF_LOCATION.get(location, location)


def publish(s3: S3Client, bucket: str, prefix: str, zips: list[Zip]) -> list[str]:
    """Upload the zips that are not there yet; return their keys.

    Args:
        s3: A client in the bucket's Region.
        bucket: Name of the bucket.
        prefix: Prefix of the keys.
        zips: The zips.

    Raises:
        ReleaseError: S3 refuses, or a key holds other bytes.
    """
    return [zipped.key(prefix) for zipped in zips if _is_new(s3, bucket, zipped.key(prefix), zipped)]


def _is_new(s3: S3Client, bucket: str, key: str, zipped: Zip) -> bool:
    checksum = base64.b64encode(zipped.digest).decode()
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=zipped.content,
            ContentType="application/zip",
            ChecksumSHA256=checksum,
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise ReleaseError(f"{bucket}/{key}: {error}") from error
        if s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED").get("ChecksumSHA256") != checksum:
            raise ReleaseError(f"{bucket}/{key} holds other bytes: delete the object") from error
        return False
    return True
