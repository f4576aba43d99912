"""Encoded images for the tests: photos, odd formats, and files that lie about their size."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import skimage
from PIL import Image


def photo(name):
    return (Path(skimage.__file__).parent / "data" / name).read_bytes()


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def example(image):
    from model_export.protos import example_pb2

    message = example_pb2.Example()
    message.features.feature["image/encoded"].bytes_list.value.append(image)
    return message.SerializeToString()


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_claiming(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def bmp_claiming(width, height):
    data = bytearray(encoded(Image.new("RGB", (2, 2)), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def jpeg_claiming(width, height):
    data = encoded(Image.new("RGB", (16, 16)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def gif_with_frames(sides, screen=16):
    """Return a GIF whose header claims a small screen while its frames have the given sides."""
    frames = [encoded(Image.new("P", (side, side)), "GIF") for side in sides]
    header = bytearray(frames[0][:13])
    header[6:10] = struct.pack("<HH", screen, screen)
    start = 13 + (3 << ((header[10] & 7) + 1))
    bodies = [frame[start:].rstrip(b"\x3b") for frame in frames]
    return bytes(header) + frames[0][13:start] + b"".join(bodies) + b"\x3b"
