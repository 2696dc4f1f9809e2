"""Which version of HTTP a host chooses: ``python -m scripts.http_versions https://abc.execute-api…`` prints it.

AWS does not document whether ``@connections`` speaks HTTP/2. The functions offer it in the TLS handshake, as this does.
"""

from __future__ import annotations

import socket
import ssl
import sys
from urllib.parse import urlsplit

from scripts.waiting import scaled

OFFERED = ("h2", "http/1.1")
"""The protocols that ``roomcast.fanout.Engine`` offers; a test compares the two."""
WITHIN = 10.0
"""Seconds for connection and handshake."""


def chosen(url: str, trusted: ssl.SSLContext | None = None) -> str:
    """Return the version that a host chooses of ``OFFERED``, in a TLS handshake (ALPN, RFC 7301).

    Args:
        url: An ``https://`` or ``wss://`` URL of the host.
        trusted: TLS settings of the client; the system's without them.

    Raises:
        OSError: The host cannot be reached, or its certificate is not valid.
    """
    parts = urlsplit(url)
    context = trusted or ssl.create_default_context()
    context.set_alpn_protocols(list(OFFERED))
    with (
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=scaled(WITHIN)) as connection,
        context.wrap_socket(connection, server_hostname=parts.hostname) as encrypted,
    ):
        return encrypted.selected_alpn_protocol() or "http/1.1"


def sentence(url: str, version: str) -> str:
    """Return the result as one sentence."""
    names = {"h2": "HTTP/2", "http/1.1": "HTTP/1.1"}
    return f"{urlsplit(url).hostname} chose {names.get(version, version)}, being offered HTTP/2 and HTTP/1.1"


if __name__ == "__main__":
    print(sentence(sys.argv[1], chosen(sys.argv[1])))
