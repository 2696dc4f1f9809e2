"""Roomcast's fan-out engine over HTTP/2."""

from __future__ import annotations

from scripts.bench.contenders import roomcast

if __name__ == "__main__":
    roomcast.main(http2=True)
