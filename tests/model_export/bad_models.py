"""Writes SavedModels that TensorFlow Serving must not get; run as `python bad_models.py FOLDER KIND...`.

Each goes into the folder of its kind. One process writes all, because importing TensorFlow takes longer than any model.
"""

import sys
from pathlib import Path

from model_export import warmup

_SIGNATURES = {"serving_default": {"inputs": {"x": {"dtype": "uint8", "shape": [None, 4]}}}}


def write(kind, folder):
    import keras
    import tensorflow as tf

    module = tf.Module()
    if kind == "tracked":
        module.model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])

    def serving_default(x):
        x = tf.cast(x, tf.float32)
        match kind:
            case "tracked":
                return {"y": module.model(x)}
            case "reads files":
                return {"y": tf.strings.length(tf.io.read_file("/etc/hostname")) + tf.cast(x, tf.int32)}
            case "absolute path":
                return {"y": tf.strings.length(tf.constant("/etc/hostname")) + tf.cast(x, tf.int32)}
            case "writes files":
                tf.io.write_file("written", "text")
                return {"y": x * 2}
            case "python":
                y = tf.py_function(lambda value: value, [x], tf.float32)
                return {"y": tf.ensure_shape(y, [None, 4])}
            case "no batch":
                return {"y": tf.reduce_sum(x)}
            case "half":
                return {"y": tf.cast(x, tf.float16)}
            case _:
                return {"y": x * 2}

    spec = [tf.TensorSpec([None, 4], tf.uint8, name="x")]
    function = tf.function(serving_default, input_signature=spec, autograph=False).get_concrete_function()
    tf.saved_model.save(module, folder, signatures={"serving_default": function})
    if kind != "cold":
        warmup.write(Path(folder), "bad", _SIGNATURES, (1, 2), b"", "image/encoded")


if __name__ == "__main__":
    for each in sys.argv[2:]:
        write(each, f"{sys.argv[1]}/{each}")
