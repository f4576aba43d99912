"""Reading `assets.extra/tf_serving_warmup_requests`: a TFRecord file of PredictionLog messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from localcloud.modelserver.errors import Code, ServingError, invalid
from serving.protos import prediction_log_pb2

FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000
_CASTAGNOLI = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that TFRecord stores beside lengths and records."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _records(path: Path) -> Iterator[bytes]:
    def lost(what: str) -> ServingError:
        text = f"{what} at {position} in {path}. Please verify your warmup data is in TFRecord format."
        return ServingError(Code.DATA_LOSS, text)

    data = path.read_bytes()
    position = 0
    while position < len(data):
        header = data[position : position + 12]
        if len(header) < 12:
            raise lost("truncated record")
        length, checksum = struct.unpack("<QI", header)
        # The records' own checksums are left out: in Python they would cost a second for a few megabytes of images.
        if masked_crc(header[:8]) != checksum:
            raise lost("corrupted record")
        record = data[position + 12 : position + 12 + length]
        if len(record) < length or len(data) < position + 16 + length:
            raise lost("truncated record")
        yield record
        position += 16 + length


def read(version_directory: Path) -> Iterator[Any]:
    """Yield the PredictionLog messages of a model version; nothing when it has no such file.

    Raises:
        ServingError: DATA_LOSS for a file that is not TFRecord, INVALID_ARGUMENT for another message or more than
            1000 of them.
    """
    path = version_directory / FILE
    if not path.is_file():
        return
    for number, record in enumerate(_records(path), 1):
        if number > MAX_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
        try:
            yield prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError:
            raise invalid(f"Failed to parse warmup record {number} from {path}") from None
