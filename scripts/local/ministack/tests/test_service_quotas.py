"""Service Quotas."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import client


def asked(url: str, code: str) -> float:
    """Return a quota of API Gateway."""
    quotas: Any = client("service-quotas", url)
    return float(quotas.get_service_quota(ServiceCode="apigateway", QuotaCode=code)["Quota"]["Value"])


def test_quota_of_handshakes_is_told(corrected: str) -> None:
    assert asked(corrected, "L-9ED1E49A") == 500


def test_other_quotas_are_not_known(corrected: str) -> None:
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        asked(corrected, "L-00000000")


def test_parameters_are_still_kept(corrected: str) -> None:
    ssm: Any = client("ssm", corrected)
    ssm.put_parameter(Name="/quotas/beside", Value="x", Type="String")
    assert ssm.get_parameter(Name="/quotas/beside")["Parameter"]["Value"] == "x"


def test_plain_one_has_no_quotas(plain: str) -> None:
    with pytest.raises(ClientError):
        asked(plain, "L-9ED1E49A")
