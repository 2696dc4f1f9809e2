"""The handshake of a connection that another protocol takes over."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection

_HEAD_END = b"\r\n\r\n"


class Opening(ClientConnection):
    """The handshake of a connection that is handed over: bytes behind the answer's head are kept, not parsed."""

    head = b""
    behind = b""

    def data_received(self, data: bytes) -> None:
        """Pass on the head of the answer; of a refusal, its body, too."""
        if self.head.endswith(_HEAD_END):
            self.behind += data
            return
        head = self.head + data
        end = head.find(_HEAD_END)
        if end >= 0 and head.split(b" ", 2)[1:2] == [b"101"]:
            head, self.behind = head[: end + len(_HEAD_END)], head[end + len(_HEAD_END) :]
        data, self.head = head[len(self.head) :], head
        super().data_received(data)
