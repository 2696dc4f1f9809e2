"""Endpoints of a VPC."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.local.ministack.tests.apis import client


def endpoint(ec2: Any, vpc: str, *, private_dns: bool) -> Any:
    """Create an endpoint for execute-api."""
    service = f"com.amazonaws.{ec2.meta.region_name}.execute-api"
    return ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", PrivateDnsEnabled=private_dns
    )["VpcEndpoint"]


@pytest.mark.parametrize("private_dns", [True, False])
def test_endpoint_tells_whether_it_has_private_dns(corrected: str, *, private_dns: bool) -> None:
    ec2: Any = client("ec2", corrected)
    created = endpoint(ec2, ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"], private_dns=private_dns)
    assert created["PrivateDnsEnabled"] is private_dns
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[created["VpcEndpointId"]])["VpcEndpoints"]
    assert [each["PrivateDnsEnabled"] for each in found] == [private_dns]


def test_endpoints_of_a_vpc_are_told(corrected: str) -> None:
    ec2: Any = client("ec2", corrected)
    networks = [ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"] for _ in range(2)]
    first, _ = (endpoint(ec2, vpc, private_dns=True)["VpcEndpointId"] for vpc in networks)
    found = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": networks[:1]}])["VpcEndpoints"]
    assert [each["VpcEndpointId"] for each in found] == [first]


def test_plain_one_does_not_know_private_dns(plain: str) -> None:
    ec2: Any = client("ec2", plain)
    assert "PrivateDnsEnabled" not in endpoint(
        ec2, ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"], private_dns=True
    )
