"""TFRecord files and protocol buffers without TensorFlow: framing, CRC32C checks and the wire format.

A record is its length (8 bytes), the masked CRC32C of the length (4), the data, and the masked CRC32C of the
data (4), all little-endian. Checksums are taken of thousands of records at once, a byte position at a time,
which runs at some hundred megabytes a second. CRC32C: Castagnoli's polynomial, RFC 3720 appendix B.4.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import NasbenchError

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8
BATCH = 4096
LONGEST = 1 << 20
"""A longer record than this, in bytes, is taken for damage: those of NAS-Bench-101 have about 400."""


def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (table & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    return table


_TABLE = _table()


def crc32c(messages: Sequence[bytes]) -> np.ndarray:
    """CRC32C of every message, uint32 [n]."""
    lengths = np.array([len(message) for message in messages], dtype=np.int64)
    if not len(lengths) or not lengths.max():
        return np.zeros(len(lengths), dtype=np.uint32)
    order = np.argsort(-lengths, kind="stable")
    longest = int(lengths.max())
    padded = b"".join(messages[i].ljust(longest, b"\0") for i in order.tolist())
    columns = np.ascontiguousarray(np.frombuffer(padded, dtype=np.uint8).reshape(len(lengths), longest).T)
    unfinished = np.searchsorted(-lengths[order], -np.arange(longest), side="left")
    state = np.full(len(lengths), 0xFFFFFFFF, dtype=np.uint32)
    for column, n in zip(columns, unfinished.tolist(), strict=True):
        live = state[:n]
        state[:n] = _TABLE[(live ^ column[:n]) & 0xFF] ^ (live >> 8)
    result = np.empty_like(state)
    result[order] = ~state
    return result


def masked_crc32c(messages: Sequence[bytes]) -> np.ndarray:
    """The checksums as TFRecord stores them, uint32 [n]: rotated right by 15 bits, plus a constant."""
    crc = crc32c(messages)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK)


@functools.lru_cache(maxsize=4096)
def _length(head: bytes) -> int | None:
    """The length in a record's first twelve bytes, None if its checksum is wrong or it is beyond LONGEST."""
    length, stored = struct.unpack("<QI", head)
    return length if int(masked_crc32c([head[:8]])[0]) == stored and length <= LONGEST else None


def records(path: str | Path) -> Iterator[bytes]:
    """The data of every record of the file, in order, each checked before any of its batch is handed out.

    NasbenchError naming the record if the file cannot be read, is cut short, or a checksum is wrong.
    """
    try:
        with open(path, "rb") as file:
            done = 0
            while batch := list(_frames(file, path, done)):
                wrong = masked_crc32c([data for data, _ in batch]) != np.array([crc for _, crc in batch], np.uint32)
                if wrong.any():
                    raise _damaged(path, done + int(wrong.argmax()), "the checksum of its data is wrong")
                yield from (data for data, _ in batch)
                done += len(batch)
    except OSError as error:
        raise NasbenchError(f"cannot read {path}: {error.strerror or error}.") from None
    if not done:
        raise NasbenchError(f"{path} is empty.")


def _frames(file: BinaryIO, path: str | Path, first: int) -> Iterator[tuple[bytes, int]]:
    for number in range(first, first + BATCH):
        head = file.read(12)
        if not head:
            return
        length = _length(head) if len(head) == 12 else -1
        if length is None:
            raise _damaged(path, number, "the checksum of its length is wrong, or this is no TFRecord file")
        tail = file.read(length + 4) if length >= 0 else b""
        if length < 0 or len(tail) < length + 4:
            raise _damaged(path, number, "the file ends within it")
        yield tail[:length], int.from_bytes(tail[length:], "little")


def _damaged(path: str | Path, number: int, what: str) -> NasbenchError:
    return NasbenchError(f"{path} is damaged at record {number} ({what}); copy or download it again.")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint is longer than ten bytes")


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Field number and value of every field of a protocol-buffer message, in order.

    Wire type 0 comes as int, 1 as the float of a double, 2 as bytes, 5 as the float of a single. ValueError
    or IndexError where the message is malformed. Encoding: protobuf.dev/programming-guides/encoding.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        kind = key & 7
        value: int | float | bytes
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            if at + size > end:
                raise ValueError("a field is cut short")
            (value,) = struct.unpack_from("<d" if kind == 1 else "<f", message, at)
            at += size
        else:
            raise ValueError(f"wire type {kind} is not supported")
        if at > end:
            raise ValueError("a field is cut short")
        yield key >> 3, value
