"""What a model asks of the server that loads it: `assets.extra/saved_model_config.pb` in its version folder.

TensorFlow Serving reads it as its message SavedModelConfig while it loads a version. It can have operations run on
other servers and have them batched inside the graph, and it can turn the graph optimizer off; it cannot choose
optimizations. A bundle's file says that the graph optimizer is on, whatever the server's session configuration says:
what `verify` measures and compares is computed with it.

See saved_model_config.proto and saved_model_config_util.cc in
https://github.com/tensorflow/serving/tree/2.20.0/tensorflow_serving/servables/tensorflow.
"""

from __future__ import annotations

from pathlib import Path

from model_export.errors import ExportError

FILE = "assets.extra/saved_model_config.pb"
# No Python package has the message: field 1, session_overrides, of 2 bytes: field 3, disable_meta_optimizer, is false.
CONTENT = bytes([1 << 3 | 2, 2, 3 << 3, 0])


def write(folder: Path) -> None:
    """Write the file of a version folder."""
    file = folder / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(CONTENT)


def check(folder: Path) -> None:
    """Check the file of a version folder; bundles made before there was one lack it.

    Raises:
        ExportError: If it says anything else, such as which operations another server is to run.
    """
    file = folder / FILE
    if file.exists() and file.read_bytes() != CONTENT:
        raise ExportError(
            f"{FILE}: must be the {len(CONTENT)} bytes of `session_overrides {{ disable_meta_optimizer: false }}`; it "
            "could have operations run on another server or the graph run unoptimized; export the model again"
        )
