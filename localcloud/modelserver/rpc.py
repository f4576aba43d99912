"""The gRPC services: PredictionService, ModelService and grpc.health.v1.Health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from localcloud.modelserver import tensors
from localcloud.modelserver.errors import Code, ServingError, invalid
from localcloud.modelserver.manager import ModelManager
from localcloud.modelserver.messages import HealthCheckRequest, HealthCheckResponse
from localcloud.modelserver.metrics import Metrics
from serving.protos import (
    classification_pb2,
    get_model_metadata_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_MESSAGE_LIMIT = 1024
_DEFAULT_SIGNATURE = "serving_default"
Context = grpc.aio.ServicerContext
Handler = Callable[[Any, Any, Any], Awaitable[Any]]


def metadata(manager: ModelManager, request: Any) -> Any:
    """Answer a GetModelMetadataRequest.

    Raises:
        ServingError: INVALID_ARGUMENT for a field other than `signature_def`, NOT_FOUND for the model.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    servable = manager.find(request.model_spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response.metadata["signature_def"].Pack(signatures)
    return response


async def _abort(context: Context[Any, Any], error: ServingError) -> None:
    message = error.message
    if len(message) > _MESSAGE_LIMIT:
        message = message[:_MESSAGE_LIMIT] + "...TRUNCATED"
    await context.abort(error.code.grpc, message)


def _answering(handler: Handler) -> Handler:
    """Turn a ServingError of a handler into the call's status."""

    async def handle(self: Any, request: Any, context: Context[Any, Any]) -> Any:
        try:
            return await handler(self, request, context)
        except ServingError as error:
            return await _abort(context, error)

    return handle


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]  # untyped base
    """Predict, Classify and GetModelMetadata; the rest answers UNIMPLEMENTED.

    Args:
        manager: Finds models.
        metrics: Where requests are counted.
        as_content: Numbers in answers as raw bytes.
    """

    def __init__(self, manager: ModelManager, metrics: Metrics, as_content: bool) -> None:
        self._manager = manager
        self._metrics = metrics
        self._as_content = as_content

    async def Predict(self, request: Any, context: Context[Any, Any]) -> Any:
        """Run a signature on named tensors."""
        return await self._counted("Predict", request, context, self._predict)

    async def Classify(self, request: Any, context: Context[Any, Any]) -> Any:
        """Run a classification signature on tf.Example messages."""
        return await self._counted("Classify", request, context, self._classify)

    @_answering
    async def GetModelMetadata(self, request: Any, context: Context[Any, Any]) -> Any:
        """Return the signatures of a model version."""
        return metadata(self._manager, request)

    async def Regress(self, request: Any, context: Context[Any, Any]) -> None:
        """Refuse: no model of this project regresses."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Regress is not part of the stand-in")

    async def MultiInference(self, request: Any, context: Context[Any, Any]) -> None:
        """Refuse: no client of this project asks for it."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "MultiInference is not part of the stand-in")

    async def _counted(
        self, api: str, request: Any, context: Context[Any, Any], answer: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        started, name, code = time.monotonic(), request.model_spec.name, Code.OK
        try:
            response = await answer(request)
            self._metrics.request_latency.add((time.monotonic() - started) * 1e6, name, api, "GRPC")
            return response
        except ServingError as error:
            code = error.code
            return await _abort(context, error)
        except asyncio.CancelledError:
            code = Code.CANCELLED
            raise
        finally:
            self._metrics.request_count.add(name, code.name)

    async def _predict(self, request: Any) -> Any:
        spec = request.model_spec
        servable = self._manager.find(spec)
        outputs = await servable.predict(spec.signature_name, request.inputs, list(request.output_filter))
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, spec, servable.version)
        for alias, value in outputs.items():
            tensors.to_proto(value, response.outputs[alias], self._as_content)
        return response

    async def _classify(self, request: Any) -> Any:
        spec = request.model_spec
        servable = self._manager.find(spec)
        response = classification_pb2.ClassificationResponse()
        response.result.CopyFrom(await servable.classify(spec.signature_name, request.input))
        _fill_spec(response.model_spec, spec, servable.version)
        return response


def _fill_spec(target: Any, spec: Any, version: int) -> None:
    target.name = spec.name
    target.signature_name = spec.signature_name or _DEFAULT_SIGNATURE
    target.version.value = version


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]  # untyped base
    """Model status and changes of the configuration."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    @_answering
    async def GetModelStatus(self, request: Any, context: Context[Any, Any]) -> Any:
        """Return the states of a model's versions."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        spec = request.model_spec
        return self._manager.status(spec.name, spec.version.value if spec.HasField("version") else None)

    async def HandleReloadConfigRequest(self, request: Any, context: Context[Any, Any]) -> Any:
        """Replace the configuration; the answer carries the status, the call itself succeeds."""
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        try:
            await self._manager.reload(request.config)
        except ServingError as error:
            response.status.error_code = int(error.code)
            response.status.error_message = error.message
        return response


_SERVICES = ("", "ModelService", "PredictionService")
_SERVING, _SERVICE_UNKNOWN = 1, 3


def health_handler() -> grpc.GenericRpcHandler[Any, Any]:
    """Return the standard health service: once it answers, all is SERVING for ever, as in the original."""

    async def check(request: Any, context: Context[Any, Any]) -> Any:
        if request.service not in _SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return HealthCheckResponse(status=_SERVING)

    async def watch(request: Any, context: Context[Any, Any]) -> AsyncIterator[Any]:
        yield HealthCheckResponse(status=_SERVING if request.service in _SERVICES else _SERVICE_UNKNOWN)
        await asyncio.Event().wait()

    read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health",
        {
            "Check": grpc.unary_unary_rpc_method_handler(check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(watch, read, write),
        },
    )


def add_services(server: grpc.aio.Server, manager: ModelManager, metrics: Metrics, as_content: bool) -> None:
    """Register PredictionService and ModelService."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(manager, metrics, as_content), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(manager), server)
