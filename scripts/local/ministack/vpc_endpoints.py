"""Endpoints of a VPC: whether one has private DNS, and those of one VPC alone."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ministack.services import ec2

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

PRIVATE_DNS = "PrivateDnsEnabled"


def install() -> None:
    """Replace the functions in the table in which EC2 finds them by action."""
    for action, function in (("CreateVpcEndpoint", create), ("DescribeVpcEndpoints", describe)):
        ec2._ACTION_MAP[action] = partial(function, ec2._ACTION_MAP[action])


def create(original: Callable[..., Any], parameters: Any) -> Any:
    """Keep whether the endpoint has private DNS."""
    before = {*ec2._vpc_endpoints}
    original(parameters)
    (created,) = {*ec2._vpc_endpoints} - before
    endpoint = ec2._vpc_endpoints[created]
    endpoint[PRIVATE_DNS] = ec2._p(parameters, PRIVATE_DNS) == "true"
    return ec2._xml(200, "CreateVpcEndpointResponse", ec2._vpce_fields_xml(endpoint, tag="vpcEndpoint"))


def describe(original: Callable[..., Any], parameters: Any) -> Any:
    """Tell the endpoints of the VPCs that the filter names."""
    networks = ec2._parse_filters(parameters).get("vpc-id")
    if networks is None:
        return original(parameters)
    found = [each for each in ec2._vpc_endpoints.values() if each["VpcId"] in networks]
    items = "".join(ec2._vpce_fields_xml(each) for each in found)
    return ec2._xml(200, "DescribeVpcEndpointsResponse", f"<vpcEndpointSet>{items}</vpcEndpointSet>")


@replaces(ec2, "_vpce_fields_xml")
def _vpce_fields_xml(original: Callable[..., str], endpoint: dict[str, Any], tag: str = "item") -> str:
    """Tell whether the endpoint has private DNS, too."""
    enabled = str(endpoint.get(PRIVATE_DNS, False)).lower()
    end = f"</{tag}>"
    return f"{original(endpoint, tag).removesuffix(end)}<privateDnsEnabled>{enabled}</privateDnsEnabled>{end}"
