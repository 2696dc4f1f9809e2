"""The command line: ``python -m scripts.release.publish BUCKET ...`` uploads zips, and prints how they are used."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError

from scripts.build_handlers import OUTPUT
from scripts.release.bucket_policy import bucket_policy, readers
from scripts.release.git import Git, ReleaseError
from scripts.release.published import of_folder, of_release, publish, region_of
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.release.published import Zip

PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")


def publish_to(session: boto3.Session, bucket: str, zips: list[Zip], options: argparse.Namespace) -> None:
    """Upload zips to one bucket, and print the module's input and the bucket's policy.

    Raises:
        ReleaseError: S3 refuses.
    """
    region = region_of(session.client("s3"), bucket)
    new = publish(session.client("s3", region_name=region), bucket, options.prefix, zips)
    print(f"{bucket}: {len(new)} of {len(zips)} zips are new")
    print(f"  published_handlers = {module_input(bucket, options.prefix, region)}")
    if options.account or options.organization:
        partition = session.get_partition_for_region(region)
        granted = readers(options.account, options.organization, partition)
        print(json.dumps(bucket_policy(bucket, options.prefix, partition, granted), indent=2))


def module_input(bucket: str, prefix: str, region: str) -> str:
    """Return the value of the variable ``published_handlers``."""
    return f'{{ bucket = "{bucket}", prefix = "{prefix}", region = "{region}" }}'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        description="Upload the zips to buckets, one for each Region, and print their use."
    )
    parser.add_argument("buckets", nargs="+", metavar="BUCKET", help="an existing bucket in the functions' Region")
    parser.add_argument("--prefix", default="roomcast", help="prefix of the keys (default: roomcast)")
    parser.add_argument("--release", metavar="X.Y.Z", help="take the zips of a release's tag, and not build/handlers/")
    parser.add_argument("--account", action="append", default=[], help="print a bucket policy for this account, too")
    parser.add_argument("--organization", help="print a bucket policy for this organisation")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="repository (default: this one)")
    options = parser.parse_args(arguments)
    if not PREFIX.fullmatch(options.prefix):
        parser.error("--prefix takes letters, digits, underscores, dots, hyphens, and slashes between them")
    try:
        zips = of_release(Git(options.repository), options.release) if options.release else of_folder(OUTPUT)
        for bucket in options.buckets:
            publish_to(boto3.Session(), bucket, zips, options)
    except (ReleaseError, BotoCoreError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
