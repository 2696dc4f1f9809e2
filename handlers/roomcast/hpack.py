"""HPACK (RFC 7541), as far as posts need it: requests that differ in two headers, and answers of which two count.

Answers are read without state, because ``http2`` sets the size of the server's dynamic table to 0. Requests are written
without Huffman coding: the headers that repeat take one byte each, and the others are digits and digests, which it
hardly shortens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.http_parser import ProtocolError

if TYPE_CHECKING:
    from roomcast.signing import SignedRequests

DEFAULT_TABLE_BYTES = 4_096
"""Size of the peer's dynamic table until its SETTINGS change it; more would hold nothing else."""

ENTRY_OVERHEAD_BYTES = 32
"""Size of an entry besides its name and value (RFC 7541, section 4.1)."""

STATUS_200 = b"\x88"
"""First byte of a header block that begins with the status 200: nothing else in it matters."""

_STATIC_ENTRIES = 61
_AUTHORITY, _PATH, _AUTHORIZATION, _CONTENT_LENGTH, _RETRY_AFTER = 1, 4, 23, 28, 53
_STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
_POST = "\x83"
_SCHEMES = {"http": "\x86", "https": "\x87"}
_EMPTY_THE_TABLE = "\x20"
_SIGNATURE_CHARACTERS = 64

# As they come, and Huffman-coded.
_STATUS_NAMES = {b":status", bytes.fromhex("b8848d36a3")}
_RETRY_AFTER_NAMES = {b"retry-after", bytes.fromhex("b0a9b3d2c39525b3")}
_DIGIT_CODES = {f"{digit:05b}" if digit < 3 else f"{digit + 22:06b}": str(digit) for digit in range(10)}
_MAXIMUM_DIGITS_BYTES = 16  # Huffman-coded: more seconds than a century has


def integer(value: int, bits: int, first: int = 0) -> str:
    """Write an integer behind the other bits of its first byte (RFC 7541, section 5.1), one character per byte."""
    most = (1 << bits) - 1
    if value < most:
        return chr(first | value)
    written = [chr(first | most)]
    value -= most
    while value > 0x7F:
        written.append(chr(value & 0x7F | 0x80))
        value >>= 7
    return "".join(written) + chr(value)


def _literal(kind: int, bits: int, name: str | int, value: str, more: int = 0) -> str:
    """Write a header as a literal, without the last ``more`` characters of its value."""
    start = integer(name, bits, kind) if isinstance(name, int) else f"{chr(kind)}{integer(len(name), 7)}{name}"
    return f"{start}{integer(len(value) + more, 7)}{value}"


class Encoder:
    """Writes the header blocks of the requests on one connection.

    The authority and the session token go into the dynamic table with the first block and take one byte each in the
    next ones, unless they do not fit.

    Args:
        scheme: ``https`` or ``http``.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = _SCHEMES[scheme]
        self._capacity = DEFAULT_TABLE_BYTES
        self._update = ""
        self._constants: tuple[tuple[str | int, str], ...] = ()
        self._entries: list[tuple[str | int, str]] = []
        self._free = self._capacity
        self._key = ""

    def resize(self, capacity: int) -> None:
        """Follow the peer's ``SETTINGS_HEADER_TABLE_SIZE``, in bytes."""
        self._capacity = min(capacity, DEFAULT_TABLE_BYTES)
        self._forget()

    def block(self, requests: SignedRequests, segment: str) -> bytes:
        """Give the header block of a request, signed as of now, for the shared path and an unquoted ``segment``."""
        quoted, signature = requests.sign(segment)
        encoding = requests.encodings.get(self._key)
        start, path, rest = encoding if encoding is not None else self._encode(requests)
        length = len(path) + len(quoted)
        size = bytes((length,)) if length < 0x7F else integer(length, 7).encode("latin-1")
        return b"".join((start, size, path, quoted, rest, signature))

    def _forget(self) -> None:
        """Empty the table at the beginning of the next block, which then fills it again."""
        self._update = _EMPTY_THE_TABLE + (integer(self._capacity, 5, 0x20) if self._capacity else "")
        self._entries, self._free, self._key = [], self._capacity, ""

    def _encode(self, requests: SignedRequests) -> tuple[bytes, bytes, bytes]:
        """Write the parts before the path, the shared part of the path, and the parts between path and signature."""
        headers = {name.lower(): value for name, value in requests.headers.items()}
        authority = (_AUTHORITY, headers.pop("host"))
        token = headers.pop("x-amz-security-token", None)
        constants = (authority,) if token is None else (authority, ("x-amz-security-token", token))
        if constants != self._constants:
            self._constants = constants
            if self._entries:
                self._forget()
        known, update = len(self._entries), self._update
        self._update = ""
        first, *others = [self._constant(name, value) for name, value in constants]
        literals = [_literal(0, 4, name, value) for name, value in headers.items()]
        length = _literal(0, 4, _CONTENT_LENGTH, str(requests.content_length))
        authorization = _literal(0x10, 4, _AUTHORIZATION, requests.authorization, _SIGNATURE_CHARACTERS)
        # Characters up to U+00FF, each of which is one byte.
        encoding = (
            f"{update}{_POST}{self._scheme}{first}{integer(_PATH, 4)}".encode("latin-1"),
            requests.path.encode(),
            "".join((*others, *literals, length, authorization)).encode("latin-1"),
        )
        if not update and len(self._entries) == known:
            # The table is as it will be for the next block: the same holds on each connection with such a table.
            self._key = "".join((first, *others, *(value for _, value in constants)))
            requests.encodings[self._key] = encoding
        return encoding

    def _constant(self, name: str | int, value: str) -> str:
        entry = (name, value)
        if entry in self._entries:
            return integer(_STATIC_ENTRIES + len(self._entries) - self._entries.index(entry), 7, 0x80)
        name_bytes = len(":authority") if name == _AUTHORITY else len(str(name))
        size = name_bytes + len(value) + ENTRY_OVERHEAD_BYTES
        if size > self._free:
            return _literal(0, 4, name, value)
        self._entries.append(entry)
        self._free -= size
        return _literal(0x40, 6, name, value)


def read_answer(block: bytes) -> tuple[int, float]:
    """Read the header block of an answer.

    Returns:
        The status, or 0 if there is no valid one; the seconds that the server asks to wait (``Retry-After``), or 0.

    Raises:
        ProtocolError: The block is not HPACK, or refers to a dynamic table.
    """
    statuses: list[int] = []
    seconds = 0.0
    at = _skip_updates(block)
    if block[at : at + 1] == STATUS_200:
        return 200, 0.0
    while at < len(block):
        index, name, value, at = _read_field(block, at)
        if index in _STATUSES and value is None:
            statuses.append(_STATUSES[index])
        elif value is not None and (8 <= index <= 14 or name in _STATUS_NAMES):
            statuses.append(int(value) if len(value) == 3 and "100" <= value <= "599" else 0)
        elif value and (index == _RETRY_AFTER or name in _RETRY_AFTER_NAMES):
            seconds = float(value)
    return statuses[0] if len(statuses) == 1 else 0, seconds


def _skip_updates(block: bytes) -> int:
    at = 0
    while block[at : at + 1] == b"\x20":
        at += 1
    return at


def _read_field(block: bytes, at: int) -> tuple[int, bytes, str | None, int]:
    """Read one header: index, or else name, of its name; its value if it is a literal of digits alone; its end."""
    first = block[at]
    if first & 0x80:
        index, at = _read_integer(block, at, 7)
        if not index:
            raise ProtocolError("the answer's headers use index 0")
        return _static(index), b"", None, at
    if first & 0xE0 == 0x20:
        raise ProtocolError("the answer's headers resize a table of size 0")
    index, at = _read_integer(block, at, 6 if first & 0x40 else 4)
    name = b""
    if not index:
        name, _, at = _read_string(block, at)
    value, is_coded, at = _read_string(block, at)
    return _static(index), name, _digits(value, is_coded=is_coded), at


def _static(index: int) -> int:
    if index > _STATIC_ENTRIES:
        raise ProtocolError("the answer's headers refer to a table of size 0")
    return index


def _read_integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    # Three more bytes: no length or index here comes near their capacity.
    for shift in (0, 7, 14):
        byte = block[at : at + 1]
        if not byte:
            break
        at += 1
        value += (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value, at
    raise ProtocolError("the answer's headers hold a malformed number")


def _read_string(block: bytes, at: int) -> tuple[bytes, bool, int]:
    """Read a string as it is, whether it is Huffman-coded, and its end."""
    if at >= len(block):
        raise ProtocolError("the answer's headers are cut off")
    is_coded = block[at] >= 0x80
    length, at = _read_integer(block, at, 7)
    if at + length > len(block):
        raise ProtocolError("the answer's headers are cut off")
    return block[at : at + length], is_coded, at + length


def _digits(value: bytes, *, is_coded: bool) -> str:
    """Digits, or an empty string for any other value."""
    if not is_coded:
        return value.decode() if value.isdigit() else ""
    if len(value) > _MAXIMUM_DIGITS_BYTES:
        return ""
    bits = f"{int.from_bytes(value):0{8 * len(value)}b}" if value else ""
    digits = ""
    while code := next((code for code in (bits[:5], bits[:6]) if code in _DIGIT_CODES), ""):
        digits += _DIGIT_CODES[code]
        bits = bits[len(code) :]
    # The last byte is filled up with ones.
    return digits if len(bits) < 8 and "0" not in bits else ""
