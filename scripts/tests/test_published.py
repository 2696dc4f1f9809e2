"""Zips in a bucket: which, under which keys, and what S3 is told so that no object is ever written twice."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scripts.release.git import ReleaseError
from scripts.release.published import Zip, of_folder, publish, region_of
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


class Bucket:
    """A bucket, as the client of S3 shows it.

    Attributes:
        objects: Checksums of objects by their keys.
        location: What S3 says of its Region.
    """

    def __init__(self, location: str | None = None) -> None:
        self.objects: dict[str, str] = {}
        self.location = location

    def put_object(self, **request: Any) -> None:
        """Write an object unless there is one."""
        assert (request["Bucket"], request["IfNoneMatch"], request["ContentType"]) == ("zips", "*", "application/zip")
        digest = base64.b64encode(hashlib.sha256(request["Body"]).digest()).decode()
        assert request["ChecksumSHA256"] == digest
        if request["Key"] in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[request["Key"]] = digest

    def head_object(self, **request: Any) -> dict[str, str]:
        """Tell the checksum, which S3 does if it is asked to."""
        assert (request["Bucket"], request["ChecksumMode"]) == ("zips", "ENABLED")
        return {"ChecksumSHA256": self.objects[request["Key"]]}

    def get_bucket_location(self, **_: Any) -> dict[str, str | None]:
        """Tell the Region."""
        return {"LocationConstraint": self.location}


def publish_to(bucket: Any, zips: list[Zip]) -> list[str]:
    """Publish zips; returns the new keys."""
    return publish(bucket, "zips", "a/b", zips)


def test_an_object_is_written_once() -> None:
    bucket, zips = Bucket(), [Zip("connect", b"one"), Zip("default", b"two")]
    keys = [f"a/b/{each.handler}/{hashlib.sha256(each.content).hexdigest()}.zip" for each in zips]

    assert publish_to(bucket, zips) == keys
    assert publish_to(bucket, zips) == []
    assert [*bucket.objects] == keys

    bucket.objects[keys[0]] = "other"
    with pytest.raises(ReleaseError, match=f"zips/{keys[0]} holds other bytes"):
        publish_to(bucket, zips)


def test_keys_are_those_that_the_module_makes_of_the_manifest() -> None:
    text = (REPOSITORY / "terraform" / "modules" / "zips" / "outputs.tf").read_text("utf-8")
    assert 'join("/", [var.published_handlers.prefix, handler, "${coalesce(zip.sha256, "missing")}.zip"])' in text
    assert Zip("connect", b"").key("roomcast") == f"roomcast/connect/{hashlib.sha256(b'').hexdigest()}.zip"


@pytest.mark.parametrize(
    ("location", "region"), [(None, "us-east-1"), ("EU", "eu-west-1"), ("eu-central-1", "eu-central-1")]
)
def test_region_of_a_bucket(location: str | None, region: str) -> None:
    bucket: Any = Bucket(location)
    assert region_of(bucket, "zips") == region


def test_zips_are_those_of_the_manifest_for_each_architecture(tmp_path: Path) -> None:
    contents = {"connect.zip": b"one", "authorizer-arm64.zip": b"two", "authorizer-x86_64.zip": b"three"}
    listed = {name: {"zip": name, "sha256": hashlib.sha256(each).hexdigest()} for name, each in contents.items()}
    for name, each in contents.items():
        (tmp_path / name).write_bytes(each)
    of_authorizer = {each: listed[f"authorizer-{each}.zip"] for each in ("arm64", "x86_64")}
    handlers = {"connect": listed["connect.zip"], "authorizer": {"zips": of_authorizer}}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 2, "handlers": handlers}))

    assert of_folder(tmp_path) == [Zip("connect", b"one"), Zip("authorizer", b"two"), Zip("authorizer", b"three")]

    (tmp_path / "authorizer-x86_64.zip").write_bytes(b"four")
    with pytest.raises(ReleaseError, match=r"authorizer-x86_64\.zip is not the one in the manifest"):
        of_folder(tmp_path)
    (tmp_path / "connect.zip").unlink()
    with pytest.raises(ReleaseError, match=r"connect\.zip: No such file or directory; run `make build`"):
        of_folder(tmp_path)
