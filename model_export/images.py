"""Turning encoded images into the network's input, inside the graph, with limits."""

from __future__ import annotations

from typing import Any

from model_export.registry import ImageInput

MAX_PIXELS = 40_000_000
_PARALLEL_DECODES = 4  # bounds the memory of a batch of largest images to about 1 GiB
_HEADER_BYTES = 26
_PNG = (0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A)
_GIF = (0x47, 0x49, 0x46, 0x38)
_GIF_HEADER_BYTES = 13
_GIF_FRAME = 0x2C
_GIF_EXTENSION = 0x21
_BMP = (0x42, 0x4D)
_JPEG = (0xFF, 0xD8, 0xFF)


def _starts_with(header: Any, magic: tuple[int, ...]) -> Any:
    import tensorflow as tf

    return tf.reduce_all(tf.equal(header[: len(magic)], tf.constant(magic, tf.int64)))


def _integer(header: Any, start: int, size: int, *, little: bool) -> Any:
    """Return bytes `start` to `start + size` as int64."""
    import tensorflow as tf

    powers = [256**n for n in (range(size) if little else reversed(range(size)))]
    return tf.reduce_sum(header[start : start + size] * tf.constant(powers, tf.int64))


def _gif_frame_pixels(data: Any) -> Any:
    """Return int64 [], the pixels of all frames of a GIF, or a number above the limit as soon as it is passed.

    The decoder unpacks every frame at the frame's own size, whatever the header says, so a megabyte of GIF could become
    gigabytes. This walks over the file's blocks: https://www.w3.org/Graphics/GIF/spec-gif89a.txt.
    """
    import tensorflow as tf

    content = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)
    # Zeros after the end: every read below is in bounds, and a cut file ends its block.
    content = tf.pad(content, [[0, _GIF_HEADER_BYTES]])
    end = tf.size(content) - _GIF_HEADER_BYTES

    def byte(position: Any) -> Any:
        return content[tf.minimum(position, end)]

    def color_table_bytes(flags: Any) -> Any:
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def after_blocks(position: Any) -> Any:
        return tf.while_loop(lambda at: byte(at) > 0, lambda at: at + byte(at) + 1, [position])[0] + 1

    def goes_on(position: Any, pixels: Any) -> Any:
        kind = byte(position)
        return (pixels <= MAX_PIXELS) & ((kind == _GIF_FRAME) | (kind == _GIF_EXTENSION))

    def step(position: Any, pixels: Any) -> tuple[Any, Any]:
        start = tf.minimum(position, end)
        header = content[start : start + 10]
        is_frame = header[0] == _GIF_FRAME
        width, height = header[5] + 256 * header[6], header[7] + 256 * header[8]
        frame = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
        skipped = tf.where(is_frame, 11 + color_table_bytes(header[9]), 2)
        return after_blocks(start + skipped), pixels + tf.where(is_frame, frame, tf.zeros([], tf.int64))

    start = _GIF_HEADER_BYTES + color_table_bytes(byte(10))
    return tf.while_loop(goes_on, step, [start, tf.zeros([], tf.int64)])[1]


def _pixels(data: Any) -> Any:
    """Return int64 [], an image's pixels (of all frames) read from its headers, or 0 for an unknown format.

    The headers are read before decoding so that a small file claiming a huge image allocates nothing.
    """
    import tensorflow as tf

    header = tf.cast(tf.io.decode_raw(data, tf.uint8, fixed_length=_HEADER_BYTES), tf.int64)

    def area(height: Any, width: Any) -> Any:
        # Clamped so that the product of two hostile 32-bit sides cannot overflow into a small number.
        return tf.minimum(height, MAX_PIXELS + 1) * tf.minimum(width, MAX_PIXELS + 1)

    def png() -> Any:
        return area(_integer(header, 20, 4, little=False), _integer(header, 16, 4, little=False))

    def gif() -> Any:
        screen = area(_integer(header, 8, 2, little=True), _integer(header, 6, 2, little=True))
        return tf.maximum(screen, _gif_frame_pixels(data))

    def bmp() -> Any:
        height = _integer(header, 22, 4, little=True)
        # A negative height means rows from top to bottom.
        return area(tf.minimum(height, 2**32 - height), _integer(header, 18, 4, little=True))

    def jpeg() -> Any:
        shape = tf.cast(tf.io.extract_jpeg_shape(data), tf.int64)
        return area(shape[0], shape[1])

    cases = [
        (_starts_with(header, _PNG), png),
        (_starts_with(header, _GIF), gif),
        (_starts_with(header, _BMP), bmp),
        (_starts_with(header, _JPEG), jpeg),
    ]
    return tf.case(cases, default=lambda: tf.zeros([], tf.int64))


def decode(data: Any, image: ImageInput) -> Any:
    """Decode one image, scale it to a square without keeping its proportions, and cut the centre.

    Args:
        data: string [], a JPEG, PNG, BMP or GIF file; of an animation the first frame is used.
        image: The network's input.

    Returns:
        float32 [size, size, 3], RGB in [0, 255].

    Raises:
        tf.errors.InvalidArgumentError: In the graph, if the image is of another format, cannot be decoded or has more
            than 40 megapixels.
    """
    import tensorflow as tf

    pixels = _pixels(data)
    known = tf.debugging.Assert(pixels > 0, ["the image is not a JPEG, PNG, BMP or GIF file, or is empty"])
    small = tf.debugging.Assert(pixels <= MAX_PIXELS, [f"the image has more than {MAX_PIXELS} pixels"])
    with tf.control_dependencies([known, small]):
        decoded = tf.io.decode_image(tf.identity(data), channels=3, expand_animations=False)
    decoded.set_shape([None, None, 3])
    scaled = round(image.size / image.crop)
    margin = (scaled - image.size) // 2
    resized = tf.image.resize(decoded, [scaled, scaled], method="bicubic")
    centre = resized[margin : margin + image.size, margin : margin + image.size]
    # Bicubic interpolation overshoots at edges.
    return tf.ensure_shape(tf.clip_by_value(centre, 0.0, 255.0), [image.size, image.size, 3])


def decode_batch(data: Any, image: ImageInput) -> Any:
    """Decode string [batch] to float32 [batch, size, size, 3]; see `decode`."""
    import tensorflow as tf

    spec = tf.TensorSpec([image.size, image.size, 3], tf.float32)
    return tf.map_fn(
        lambda one: decode(one, image), data, fn_output_signature=spec, parallel_iterations=_PARALLEL_DECODES
    )
