"""The way back: whether functions reach their clients."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from roomcast_cli import aws
from roomcast_cli.doctor.api import api_of
from roomcast_cli.doctor.checks import Finding, group_of
from roomcast_cli.doctor.unmade import NotMade, NotThere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast_cli.doctor.answers import Answers

ANYWHERE = ("0.0.0.0/0", "::/0")
WAYS_OUT = ("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId", "VpcPeeringConnectionId",
            "EgressOnlyInternetGatewayId", "LocalGatewayId", "CoreNetworkArn", "CarrierGatewayId")  # fmt: skip
"""Targets of routes through which a function without a public address gets out. An internet gateway is none."""

UNKNOWN_ID = base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()
"""Of the form of a connection's id, and no connection's."""


def delivery(answers: Answers) -> Iterator[Finding]:
    """The address to which functions post is the stage's."""
    endpoint = answers.outputs["management_endpoint"]
    try:
        answers.ask("apigatewaymanagementapi", "get_connection", ConnectionId=UNKNOWN_ID)
    except NotMade as answer:
        # 410: the connection is gone, so the stage is there; 400: it wants an id of another form.
        if answer.status in {400, 410}:
            return
        if not answer.status:
            yield Finding(
                endpoint,
                f"{endpoint} cannot be reached from here: functions that cannot reach it either deliver nothing",
                "set management_endpoint to the stage's address, or look at DNS and network",
            )
        elif answer.status in {403, 404} and not aws.SENTENCE.search(answer.message):
            yield Finding(
                endpoint,
                f"{endpoint} answers {answer.status} where a stage answers 410: functions that post there deliver "
                "nothing",
                "set management_endpoint to the stage's address; without it the module knows it",
            )
        else:
            raise


def _is_own(url: str) -> bool:
    """Whether a URL is of API Gateway's own domain, or of an emulator."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ".execute-api." in host or host.endswith("localhost")
    return True


def _posting(answers: Answers) -> Mapping[str, str]:
    """Return the addresses to which functions post, by handler."""
    found = {name: answers.environment(name).get("ROOMCAST_MANAGEMENT_ENDPOINT", "") for name in answers.functions}
    return {name: url for name, url in found.items() if url}


def endpoint(answers: Answers) -> Iterator[Finding]:
    """Functions do not post to an endpoint that is turned off."""
    if not api_of(answers).get("DisableExecuteApiEndpoint"):
        return
    names = sorted(name for name, url in _posting(answers).items() if _is_own(url))
    if names:
        yield Finding(
            answers.outputs["api_id"],
            f"the default endpoint of the API {answers.outputs['api_id']} is off, and {', '.join(names)} post to it: "
            "each post is answered with 403",
            "set management_endpoint to the address of a custom domain",
        )


def domain(answers: Answers) -> Iterator[Finding]:
    """The custom domain to which functions post leads to this stage, with a valid certificate."""
    for url in sorted({each for each in _posting(answers).values() if not _is_own(each)}):
        parts = urlsplit(url)
        try:
            found = answers.ask("apigatewayv2", "get_domain_name", DomainName=parts.hostname)
        except NotThere:
            yield Finding(url, f"functions post to {url}, and there is no custom domain {parts.hostname}", "create it")
            continue
        yield from _of_certificate(answers, str(parts.hostname), found)
        mappings = answers.pages("apigatewayv2", "get_api_mappings", "Items", DomainName=parts.hostname)
        key = parts.path.strip("/")
        at = next((each for each in mappings if each.get("ApiMappingKey", "").strip("/") == key), None)
        served = (at or {}).get("ApiId"), (at or {}).get("Stage")
        if served != (answers.outputs["api_id"], answers.stage.stage):
            leads = f"leads to {served[0]}/{served[1]}" if at else "leads nowhere"
            yield Finding(
                url,
                f"functions post to {url}, which {leads} and not to {answers.outputs['api_id']}/{answers.stage.stage}: "
                "nothing is delivered",
                "map the domain to this stage, or set management_endpoint",
            )


def _of_certificate(answers: Answers, name: str, found: Mapping[str, Any]) -> Iterator[Finding]:
    for each in found.get("DomainNameConfigurations", []):
        status = each.get("DomainNameStatus", "AVAILABLE")
        if status not in {"AVAILABLE", "UPDATING"}:
            yield Finding(
                name, f"the custom domain {name} is {status}: its certificate is not valid", "validate it in ACM"
            )
        arn = each.get("CertificateArn")
        if not arn:
            continue
        certificate = answers.ask("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
        ends = certificate.get("NotAfter")
        if certificate.get("Status", "ISSUED") != "ISSUED" or (ends and ends < dt.datetime.now(dt.UTC)):
            state = certificate.get("Status", "EXPIRED")
            yield Finding(
                name,
                f"the certificate of {name} is not valid ({state}, until {ends}): posts to it fail",
                f"renew {arn} in ACM",
            )


def _networks(answers: Answers) -> Mapping[str, tuple[set[str], bool]]:
    """Return the subnets of functions by VPC, and whether all of them may use IPv6."""
    found: dict[str, tuple[set[str], bool]] = {}
    for name in answers.functions:
        config = answers.function(name).get("VpcConfig", {})
        if vpc := config.get("VpcId"):
            subnets, dual = found.get(vpc, (set(), True))
            found[vpc] = subnets | {*config.get("SubnetIds", [])}, dual and config.get("Ipv6AllowedForDualStack", False)
    return found


def private_dns(answers: Answers) -> Iterator[Finding]:
    """No endpoint in the functions' VPC takes the API's name for itself."""
    networks = _networks(answers)
    if not networks or not any(_is_own(url) for url in _posting(answers).values()):
        return
    filters = [{"Name": "vpc-id", "Values": sorted(networks)}]
    for each in answers.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters):
        if str(each.get("ServiceName", "")).endswith(".execute-api") and each.get("PrivateDnsEnabled"):
            yield Finding(
                each["VpcEndpointId"],
                f"the endpoint {each['VpcEndpointId']} for execute-api in {each.get('VpcId')} has private DNS, and "
                "knows no WebSocket API: every post of a function in this VPC is answered with 403",
                "turn its private DNS off, or set management_endpoint to the address of a custom domain",
            )


def vpc_route(answers: Answers) -> Iterator[Finding]:
    """Functions in a VPC get out of it."""
    networks = _networks(answers)
    if not networks:
        return
    filters = [{"Name": "vpc-id", "Values": sorted(networks)}]
    tables = answers.pages("ec2", "describe_route_tables", "RouteTables", Filters=filters)
    for vpc, (subnets, dual) in sorted(networks.items()):
        for subnet in sorted(subnets):
            table = _table_of(subnet, vpc, tables)
            if table is None or not any(_leads_out(route, dual=dual) for route in table.get("Routes", [])):
                yield Finding(
                    subnet,
                    f"the subnet {subnet} of {vpc} has no route to a NAT gateway or another way out: posts of "
                    "functions in it hang until they are given up",
                    "give its route table a route for 0.0.0.0/0, or functions other subnets",
                )


def _table_of(subnet: str, vpc: str, tables: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    main = None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                return table
            if association.get("Main") and table.get("VpcId") == vpc:
                main = table
    return main


def _leads_out(route: Mapping[str, Any], *, dual: bool) -> bool:
    goal = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
    if goal not in ANYWHERE or route.get("State") == "blackhole":
        return False
    if goal == "::/0":
        return dual and bool(
            route.get("EgressOnlyInternetGatewayId") or str(route.get("GatewayId", "")).startswith("igw-")
        )
    return any(route.get(name) for name in WAYS_OUT) or str(route.get("GatewayId", "")).startswith("vgw-")


CHECKS = group_of("delivery", delivery, endpoint, domain, private_dns, vpc_route)
