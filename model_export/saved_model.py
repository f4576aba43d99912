"""Builds one SavedModel version folder in its parent: `python -m model_export.saved_model SOURCE NAME [OPTIONS]`.

The options are `--freeze` and `--bfloat16`. It runs in a process of its own, in an empty working folder, because the
lookup table writes the label file's path as it was given into the graph, and because a fresh process numbers the
graph's functions alike every time.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export import batching, bfloat16, golden, model_config, signatures, warmup
from model_export.children import child
from model_export.errors import ExportError
from model_export.exportable import Exportable, exportable
from model_export.protos import saved_model_pb2
from model_export.registry import TextInput
from model_export.served import Endpoint, served

VERSION_FOLDER = "version"
_MAX_FROZEN_BYTES = 1_800_000_000
LABELS_FILE = "labels.txt"


def _label_table(labels: list[str]) -> Any:
    import tensorflow as tf

    Path(LABELS_FILE).write_text("".join(f"{name}\n" for name in labels), encoding="utf-8")
    initializer = tf.lookup.TextFileInitializer(
        LABELS_FILE,
        key_dtype=tf.int64,
        key_index=tf.lookup.TextFileIndex.LINE_NUMBER,
        value_dtype=tf.string,
        value_index=tf.lookup.TextFileIndex.WHOLE_LINE,
    )
    return tf.lookup.StaticHashTable(initializer, "unknown")


def _golden(endpoints: dict[str, Endpoint], probes: dict[str, npt.NDArray[Any]]) -> golden.Answers:
    """Return inputs and what Keras answers."""
    import tensorflow as tf

    answers: golden.Answers = {}
    for name, inputs in probes.items():
        endpoint = endpoints[name]
        outputs = endpoint.function(tf.constant(inputs, endpoint.inputs[0].dtype))
        answers[name] = (
            {endpoint.inputs[0].name: inputs},
            {output: np.asarray(value) for output, value in outputs.items()},
        )
    return answers


def _compiled(network: Any) -> Any:
    """Return the network as one function; all signatures call it, so that the graph holds its operations once."""
    import tensorflow as tf

    spec = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), network.input)

    def core(given: Any) -> Any:
        return network(given, training=False)

    return tf.function(core, input_signature=[spec], autograph=False)


def _shared(network: Any) -> Any:
    """Return a function like the network that leads every signature into the same operations."""
    compiled = _compiled(network)
    return lambda given, training=False: compiled(given)


def _frozen(network: Any) -> Any:
    """Return a function like the network with its weights as constants, once for all signatures.

    Raises:
        ExportError: If the graph would be larger than a protocol buffer may be.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    size = network.count_params() * 4
    if size > _MAX_FROZEN_BYTES:
        raise ExportError(f"--freeze: {size} bytes of weights, a frozen graph takes {_MAX_FROZEN_BYTES}; leave it out")
    traced = _compiled(network).get_concrete_function()
    constant = convert_variables_to_constants_v2(traced)

    def run(given: Any, training: bool = False) -> Any:
        found = constant(*tf.nest.flatten(given))
        return tf.nest.pack_sequence_as(traced.structured_outputs, tf.nest.flatten(found))

    return run


def _normalise(folder: Path) -> None:
    """Make the saved files depend on the model alone.

    Map entries are serialised in key order, functions are sorted, the fingerprint (a random identifier; the bundle's
    digest takes its place) is removed, and the Classify signature gets its method name, which Keras does not set.
    """
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        library = graph.graph_def.library
        functions = sorted(library.function, key=lambda function: str(function.signature.name))
        del library.function[:]
        library.function.extend(functions)
        for definition in graph.signature_def.values():
            if signatures.is_classify(definition):
                definition.method_name = signatures.CLASSIFY_METHOD
    file.write_bytes(model.SerializeToString(deterministic=True))


def _save(variables: list[Any], table: Any, endpoints: dict[str, Endpoint], folder: Path) -> None:
    """Write the SavedModel: the signatures, their lookup tables and the plain variables behind the Keras model.

    The Keras model itself must stay out: stored beside its variables it doubles the size (keras #23553), and stored
    alone it makes a SavedModel that TensorFlow Serving refuses (keras #19274). `keras.export.ExportArchive` would do,
    but takes the variables from a set ordered by memory address, so that every process writes another file.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variables_in_order = [variable.value for variable in variables]
    module.tables = [table, *(each for endpoint in endpoints.values() for each in endpoint.tables)]
    functions = {}
    for name, endpoint in endpoints.items():
        print(f"tracing {name}", flush=True)
        function = tf.function(endpoint.function, input_signature=endpoint.inputs, autograph=False)
        functions[name] = function.get_concrete_function()
    print("writing the SavedModel", flush=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=functions, options=options)


def build(model: Exportable, name: str, *, freeze: bool = False, reduced: bool = False) -> dict[str, Any]:
    """Write `version/` into the working folder and return facts for the manifest.

    Args:
        model: What is exported.
        name: Name of the served model, for the warm-up requests.
        freeze: Whether the weights become constants of the graph.
        reduced: Whether the graph computes in bfloat16; the golden answers are always those of float32.
    """
    print("loading TensorFlow", flush=True)
    import keras
    import tensorflow as tf

    print("building the network", flush=True)
    network = model.network()
    table = _label_table(model.labels)
    folder = Path(VERSION_FOLDER)
    task = served(model.family.task)
    endpoints = task.endpoints(network, table, model)
    body = bfloat16.network(model) if reduced else network
    function = _frozen(body) if freeze else _shared(body)
    _save([] if freeze else body.variables, table, task.endpoints(function, table, model), folder)
    _normalise(folder)
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    described = signatures.describe(saved.meta_graphs[0].signature_def)
    feature = signatures.TEXT_FEATURE if isinstance(model.input, TextInput) else signatures.EXAMPLE_FEATURE
    warmup.write(folder, name, described, model.family.batch_sizes, task.warmup_input(model), feature)
    (folder / batching.FILE).write_text(batching.parameters(model.family.batch_sizes), encoding="utf-8")
    model_config.write(folder)
    golden.write(folder, _golden(endpoints, task.probes(model)))
    return {
        "parameters": int(network.count_params()),
        "labels": len(model.labels),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


if __name__ == "__main__":
    with child() as report:
        source, name, *flags = sys.argv[1:]
        report(build(exportable(source), name, freeze="--freeze" in flags, reduced="--bfloat16" in flags))
