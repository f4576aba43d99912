"""Networks that compute in bfloat16: the same weights under Keras's mixed policy.

Casts stand in the graph, so that a model computes alike on every server. A server's own rewriting is no choice of one
model: `saved_model_config.pb` cannot turn it on, the server's flag turns it on for all of them, and only on some CPUs.
"""

from __future__ import annotations

from typing import Any

from model_export.exportable import Exportable
from model_export.training.trainer import precision


def network(model: Exportable) -> Any:
    """Return the network with its weights: matrix products in bfloat16; variables, inputs and outputs in float32.

    Products are those of convolutions, dense and recurrent layers and attention. All else stays in float32, where it
    is as fast and exact: scaling, normalisation, pooling, sums, depthwise convolutions, what a family declares as
    float32 (the layer that makes the logits), and layers that are not Keras's own.
    """
    with precision(mixed=True):
        body = model.network()
    _keep_exact(body)
    return body


def _keep_exact(body: Any) -> None:
    """Set the layers of a model, and of the models in it, that compute no products to float32."""
    from keras import Model, layers

    products = (
        *(layers.Conv1D, layers.Conv2D, layers.Conv2DTranspose, layers.Dense, layers.MultiHeadAttention),
        *(layers.LSTM, layers.GRU, layers.Bidirectional),
    )
    for layer in body.layers:
        if isinstance(layer, Model):
            _keep_exact(layer)
        elif not isinstance(layer, products):
            layer.dtype_policy = "float32"
