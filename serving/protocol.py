"""What callers and gateways agree on beside TensorFlow Serving's own interfaces; light, for the client imports it."""

MODEL_HEADER = "x-model"
"""Metadata by which gRPC callers name the model: its name is inside the message, where no route can see it."""
SITE_HEADER = "x-served-by"
"""Response header with the name of the site that answered."""
AVAILABLE = "AVAILABLE"
"""State of a version that answers requests."""


def health_path(model: str) -> str:
    """Return the path that answers 200 and `AVAILABLE` while this very site serves the model."""
    return f"/-/local-health/{model}"


def status_path(model: str) -> str:
    """Return the path of TensorFlow Serving's REST interface that tells the states of a model's versions."""
    return f"/v1/models/{model}"
