"""Write the toy SavedModels of these tests: `python make_models.py FOLDER`. Runs in a process of its own."""

import sys
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2


class Toy(tf.Module):
    def __init__(self):
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def number(self, text):
        """Fails with INVALID_ARGUMENT on text that is no number, as a corrupt image does."""
        return {"doubled": tf.strings.to_number(text) * self.factor, "text_bytes": text, "text": text}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2], tf.uint8, name="image")])
    def pixels(self, image):
        return {"total": tf.reduce_sum(tf.cast(image, tf.int64), axis=[1, 2])}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 3], tf.float32, name="a"),
            tf.TensorSpec([None], tf.int64, name="b"),
            tf.TensorSpec([None], tf.bool, name="c"),
        ]
    )
    def mixed(self, a, b, c):
        return {
            "sums": tf.reduce_sum(a, axis=1) + tf.cast(b, tf.float32),
            "half": tf.cast(a, tf.float16),
            "double": tf.cast(a, tf.float64),
            "not_c": tf.logical_not(c),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        labels = tf.tile([[b"low", b"high"]], [tf.shape(x)[0], 1])
        return {"classes": labels, "scores": tf.stack([1.0 - x, x], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def unbatched(self, x):
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def slow(self, x):
        step = tf.ones([700, 700])
        busy = tf.while_loop(lambda i, m: i < 40, lambda i, m: (i + 1, tf.matmul(m, step) * 1e-3), [0, step])[1]
        return {"y": x + 0.0 * tf.reduce_sum(busy)}


def warmup(folder):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for rows in (1, 4):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "toy"
            request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"1"] * rows))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def main(target):
    toy = Toy()
    signatures = {name: getattr(toy, name) for name in ("pixels", "mixed", "classify", "unbatched", "slow")}
    tf.saved_model.save(toy, str(target / "toy"), signatures={"serving_default": toy.number, **signatures})
    warmup(target / "toy")

    # What Keras 3 users try first: it loads in Python, and the C++ loader refuses it.
    holder = tf.Module()
    holder.model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    call = tf.function(
        lambda x: {"y": holder.model(x)}, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")]
    )
    tf.saved_model.save(holder, str(target / "refused"), signatures={"serving_default": call})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
