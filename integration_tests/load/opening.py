"""The handshake of a connection that another protocol takes over."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection

_HEAD_END = b"\r\n\r\n"


class Opening(ClientConnection):
    """The handshake of a connection that is handed over: bytes behind the head that accepts are kept, not parsed."""

    head = b""
    behind = b""
    _accepted = False

    def data_received(self, data: bytes) -> None:
        """Pass on the head that accepts; pass on all of a refusal, whose body may come later than its head."""
        if self._accepted:
            self.behind += data
            return
        head = self.head + data
        end = head.find(_HEAD_END)
        if end >= 0 and head.split(b" ", 2)[1:2] == [b"101"]:
            self._accepted = True
            head, self.behind = head[: end + len(_HEAD_END)], head[end + len(_HEAD_END) :]
        data, self.head = head[len(self.head) :], head
        super().data_received(data)
