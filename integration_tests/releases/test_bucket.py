"""A consumer takes the zips of a release from a bucket, and the module from a tag without zips."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from integration_tests.releases.conftest import VERSION
from integration_tests.releases.consumer import consumer
from integration_tests.releases.test_sources import says_hello
from scripts.local.aws import REGION, emulator_environment
from scripts.release.bucket_policy import bucket_policy, readers
from scripts.release.publish import main
from scripts.terraform import TerraformError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integration_tests.releases.conftest import Released
    from scripts.local.deployment import EmulatorAccess

    Publish = Callable[..., tuple[int, str, str]]

pytestmark = [pytest.mark.without_target, pytest.mark.timeout(scaled(900))]

MANIFEST = f"manifest/{VERSION}"
"""A tag without zips."""


@pytest.fixture
def bucket(access: EmulatorAccess) -> str:
    """Name of an empty bucket."""
    name = f"releases-{secrets.token_hex(4)}"
    access.aws.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def publish(
    released: Released, access: EmulatorAccess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Publish:
    """Publishes the release to the emulator; returns exit status and output."""
    for name, value in emulator_environment(access.endpoint_url).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["--repository", str(released.git.folder), "--release", VERSION, *arguments])
        return (status, *capsys.readouterr())

    return run


def given(bucket: str, prefix: str = "roomcast", region: str = REGION) -> dict[str, str]:
    """Return the value of ``published_handlers``."""
    return {"bucket": bucket, "prefix": prefix, "region": region}


async def test_a_stage_runs_the_zips_of_a_bucket(
    released: Released, access: EmulatorAccess, bucket: str, publish: Publish, tmp_path: Path
) -> None:
    status, output, errors = publish(bucket, "--prefix", "chat/zips")
    assert status == 0, errors
    assert f'published_handlers = {{ bucket = "{bucket}", prefix = "chat/zips", region = "{REGION}" }}' in output

    source = released.source(f"{MANIFEST}&depth=1")
    made = consumer(tmp_path / "consumer", source, access, published_handlers=given(bucket, "chat/zips"))
    await asyncio.to_thread(made.init)
    try:
        await asyncio.to_thread(made.apply)
        await says_hello(made)
        assert not (await asyncio.to_thread(made.plan)).changes
    finally:
        await asyncio.to_thread(made.destroy)


def test_a_second_upload_changes_nothing(access: EmulatorAccess, bucket: str, publish: Publish) -> None:
    first, second = publish(bucket), publish(bucket)

    listed = access.aws.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert f"{bucket}: {len(listed)} of {len(listed)} zips are new" in first[1]
    assert f"{bucket}: 0 of {len(listed)} zips are new" in second[1]
    assert len({item["Key"].split("/")[1] for item in listed}) == len(listed)


def test_a_key_with_other_bytes_is_told(access: EmulatorAccess, bucket: str, publish: Publish) -> None:
    publish(bucket)
    [item, *_] = access.aws.s3.list_objects_v2(Bucket=bucket)["Contents"]
    access.aws.s3.put_object(Bucket=bucket, Key=item["Key"], Body=b"other", ChecksumAlgorithm="SHA256")

    status, _, errors = publish(bucket)

    assert (status, errors) == (1, f"publish: {bucket}/{item['Key']} holds other bytes: delete the object\n")


def test_a_bucket_that_is_missing_is_told(publish: Publish) -> None:
    status, _, errors = publish("there-is-no-such-bucket")

    assert status == 1
    assert errors.startswith("publish: there-is-no-such-bucket: An error occurred (NoSuchBucket)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"region": "eu-west-1"}, f"which is {REGION}, and published_handlers names a bucket of eu-west-1"),
        ({"handlers_bucket": "mine"}, "published_handlers for zips that lie in a bucket already: set one of them"),
    ],
)
def test_a_plan_refuses(
    released: Released, access: EmulatorAccess, tmp_path: Path, arguments: dict[str, Any], sentence: str
) -> None:
    handlers = given("zips", region=arguments.pop("region", REGION))
    source = released.source(f"{MANIFEST}&depth=1")
    made = consumer(tmp_path / "consumer", source, access, published_handlers=handlers, **arguments)
    made.init()

    with pytest.raises(TerraformError) as refused:
        made.plan()

    assert sentence in " ".join(str(refused.value).split())


def test_the_tag_without_zips_names_both_ways_out(released: Released, access: EmulatorAccess, tmp_path: Path) -> None:
    made = consumer(tmp_path / "consumer", released.source(f"{MANIFEST}&depth=1"), access)
    made.init()

    with pytest.raises(TerraformError) as refused:
        made.plan()

    sentence = " ".join(str(refused.value).split())
    assert f"but it holds none, and the tag {MANIFEST} has none; set published_handlers" in sentence
    assert f"or take the tag v{VERSION}" in sentence
    assert "fetch release" not in sentence


def test_an_apply_ends_where_zips_are_missing(
    released: Released, access: EmulatorAccess, bucket: str, tmp_path: Path
) -> None:
    source = released.source(f"{MANIFEST}&depth=1")
    made = consumer(tmp_path / "consumer", source, access, published_handlers=given(bucket))
    made.init()
    try:
        with pytest.raises(TerraformError, match="S3 Error Code: NoSuchKey"):
            made.apply()
    finally:
        made.destroy()


def test_the_policy_lets_the_named_account_read_and_no_other_one(
    access: EmulatorAccess, bucket: str, publish: Publish
) -> None:
    _, output, _ = publish(bucket, "--account", "444455556666")
    policy = output[output.index("{\n") :]
    assert json.loads(policy) == bucket_policy(bucket, "roomcast", "aws", readers(["444455556666"], None, "aws"))
    [item, *_] = access.aws.s3.list_objects_v2(Bucket=bucket)["Contents"]
    named, other = (
        boto3.client(
            "s3",
            endpoint_url=access.endpoint_url,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="test",
        )
        for account in ("444455556666", "777788889999")
    )
    with pytest.raises(ClientError):
        named.get_object(Bucket=bucket, Key=item["Key"])

    # The emulator has no TLS, so that the other statement would refuse each request.
    allowing = {"Version": "2012-10-17", "Statement": json.loads(policy)["Statement"][:1]}
    access.aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(allowing))

    assert named.get_object(Bucket=bucket, Key=item["Key"])["ContentLength"] == item["Size"]
    with pytest.raises(ClientError, match="AccessDenied"):
        other.get_object(Bucket=bucket, Key=item["Key"])
