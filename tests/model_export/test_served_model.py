"""What the exported model answers through TensorFlow Serving's C++ loader."""

import io
import json

import numpy as np
import pytest
from image_files import (
    bmp_claiming,
    encoded,
    example,
    gif_with_frames,
    jpeg_claiming,
    photo,
    png_claiming,
    strings,
)
from PIL import Image

from model_export.errors import ExportError
from model_export.loader import read_meta_graph

pytestmark = pytest.mark.model


@pytest.mark.parametrize(("file", "label"), [("chelsea.png", b"Egyptian cat"), ("coffee.png", b"espresso")])
def test_photos_get_their_imagenet_names(run_signature, file, label):
    answer = run_signature("serving_default", image_bytes=strings(photo(file)))
    assert answer["labels"][0, 0] == label
    assert answer["scores"][0, 0] > 0.6
    assert (np.diff(answer["scores"][0]) <= 0).all()


def test_the_three_signatures_agree_on_the_same_image(run_signature):
    """The centre 224 of 256 pixels is cut without scaling, so decoded bytes and given pixels are the same input."""
    image = Image.open(io.BytesIO(photo("chelsea.png"))).convert("RGB").resize((256, 256))
    data = encoded(image, "PNG")
    pixels = np.asarray(image)[None, 16:240, 16:240]
    from_bytes = run_signature("serving_default", image_bytes=strings(data))
    from_pixels = run_signature("image_uint8", image=pixels)
    classified = run_signature("classify", inputs=strings(example(data)))
    for name in ("scores", "class_ids", "labels"):
        np.testing.assert_array_equal(from_bytes[name], from_pixels[name])
    np.testing.assert_array_equal(classified["classes"], from_bytes["labels"])
    np.testing.assert_array_equal(classified["scores"], from_bytes["scores"])


def test_the_graph_holds_the_network_once(version_folder):
    """Not once per signature: small models are mostly graph."""
    functions = read_meta_graph(version_folder).graph_def.library.function
    holding = [each.signature.name for each in functions if any(node.op == "Conv2D" for node in each.node_def)]
    assert len(holding) == 1


def test_a_row_does_not_depend_on_its_batch(run_signature):
    files = [photo("chelsea.png"), photo("coffee.png"), photo("rocket.jpg")]
    together = run_signature("serving_default", image_bytes=strings(*files))
    assert together["scores"].shape == (3, 5)
    for row, file in enumerate(files):
        alone = run_signature("serving_default", image_bytes=strings(file))
        np.testing.assert_allclose(together["scores"][row], alone["scores"][0], atol=1e-5)
        assert together["labels"][row, 0] == alone["labels"][0, 0]


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "RGB", {"progressive": True}), ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}), ("PNG", "P", {}), ("BMP", "RGB", {}), ("GIF", "P", {}),
    ],
)  # fmt: skip
def test_every_listed_format_is_understood(run_signature, kind, mode, options):
    image = Image.open(io.BytesIO(photo("coffee.png"))).convert(mode)
    answer = run_signature("serving_default", image_bytes=strings(encoded(image, kind, **options)))
    if mode != "L":
        assert answer["labels"][0, 0] == b"espresso"
    assert np.isfinite(answer["scores"]).all()


def test_an_animation_counts_as_its_first_frame(run_signature):
    cup = Image.open(io.BytesIO(photo("coffee.png"))).convert("P").resize((300, 300))
    data = encoded(cup, "GIF", save_all=True, append_images=[Image.new("P", (300, 300))] * 3)
    assert run_signature("serving_default", image_bytes=strings(data))["labels"][0, 0] == b"espresso"


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (2, 500)])
def test_the_smallest_and_thinnest_images_are_answered(run_signature, size):
    answer = run_signature("serving_default", image_bytes=strings(encoded(Image.new("RGB", size), "PNG")))
    assert np.isfinite(answer["scores"]).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a JPEG, PNG, BMP or GIF"),
        (b"garbage", "not a JPEG, PNG, BMP or GIF"),
        (b"\x89PNG\r\n\x1a\n", "not a JPEG, PNG, BMP or GIF"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\0" * 40, "not a JPEG, PNG, BMP or GIF"),
        (b"\xff\xd8\xff" + b"\0" * 50, ""),
        (b"GIF89a" + b"\x10\0\x10\0" + b"\0" * 50, ""),
        (b"BM" + b"\1" * 60, ""),
    ],
)
def test_what_is_no_image_is_an_invalid_argument(run_signature, data, reason):
    with pytest.raises(ExportError, match=f"INVALID_ARGUMENT.*{reason}"):
        run_signature("serving_default", image_bytes=strings(data))


def test_an_image_cut_short_is_an_invalid_argument(run_signature):
    with pytest.raises(ExportError, match="INVALID_ARGUMENT"):
        run_signature("serving_default", image_bytes=strings(photo("chelsea.png")[:2000]))


def test_one_bad_image_spoils_its_request_and_no_other(run_signature):
    with pytest.raises(ExportError, match="INVALID_ARGUMENT"):
        run_signature("serving_default", image_bytes=strings(photo("coffee.png"), b"garbage"))
    assert run_signature("serving_default", image_bytes=strings(photo("coffee.png")))["labels"][0, 0] == b"espresso"


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(100_000, 100_000),
        png_claiming(2**31 - 1, 2**31 - 1),
        png_claiming(2**32 - 1, 2**32 - 1),
        bmp_claiming(100_000, 100_000),
        bmp_claiming(100_000, -100_000),
        jpeg_claiming(60_000, 60_000),
        gif_with_frames([16], screen=60_000),
        gif_with_frames([16, 12_000]),
        gif_with_frames([4000, 4000, 4000]),
    ],
    ids=["png", "png 31 bit", "png 32 bit", "bmp", "bmp top-down", "jpeg", "gif screen", "gif frame", "gif frames"],
)
def test_a_file_that_would_unpack_to_too_many_pixels_is_refused_before_it_does(run_signature, data):
    before = run_signature.peak_memory_mib()
    with pytest.raises(ExportError, match=r"INVALID_ARGUMENT.*more than 40000000 pixels"):
        run_signature("serving_default", image_bytes=strings(data))
    assert run_signature.peak_memory_mib() - before < 100


def test_a_large_image_within_the_limit_is_answered(run_signature):
    data = encoded(Image.new("RGB", (6300, 6300), "white"), "PNG")
    assert run_signature("serving_default", image_bytes=strings(data))["scores"].shape == (1, 5)


def test_a_tf_example_without_an_image_is_an_invalid_argument(run_signature):
    with pytest.raises(ExportError, match="INVALID_ARGUMENT"):
        run_signature("classify", inputs=strings(b""))


def test_a_wrong_signature_or_input_is_named(run_signature):
    with pytest.raises(ExportError, match="signature 'nope' is not in the model"):
        run_signature("nope", x=strings(b""))
    with pytest.raises(ExportError, match=r"takes \['image_bytes'\], got \['x'\]"):
        run_signature("serving_default", x=strings(b""))


def test_the_manifest_states_the_signatures(bundle):
    signatures = json.loads((bundle / "1.json").read_text())["signatures"]
    best = {"scores": {"dtype": "float32", "shape": [None, 5]}, "labels": {"dtype": "string", "shape": [None, 5]}}
    text = {"dtype": "string", "shape": [None]}
    assert signatures == {
        "serving_default": {
            "method": "predict",
            "inputs": {"image_bytes": text},
            "outputs": {**best, "class_ids": {"dtype": "int32", "shape": [None, 5]}},
        },
        "image_uint8": {
            "method": "predict",
            "inputs": {"image": {"dtype": "uint8", "shape": [None, 224, 224, 3]}},
            "outputs": {**best, "class_ids": {"dtype": "int32", "shape": [None, 5]}},
        },
        "classify": {
            "method": "classify",
            "inputs": {"inputs": text},
            "outputs": {"classes": best["labels"], "scores": best["scores"]},
        },
    }
