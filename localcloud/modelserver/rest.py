"""The REST interface and the Prometheus page, over HTTP/1.1."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

from aiohttp import web
from google.protobuf import json_format

from localcloud.modelserver import json_tensors, rpc
from localcloud.modelserver.errors import Code, ServingError, invalid
from localcloud.modelserver.manager import ModelManager
from localcloud.modelserver.metrics import Metrics
from serving.protos import get_model_metadata_pb2, model_pb2

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<part>metadata))?", re.IGNORECASE)
_MAX_BODY_BYTES = 1 << 31


class RestInterface:
    """Answers `/v1/...` and, if it is given a path for it, Prometheus.

    Args:
        manager: Finds models.
        metrics: Where requests are counted.
        prometheus_path: Path of the metrics page; None for no page.
        timeout_s: Limit for one request; above it the answer is 504.
        threads: Requests that are worked on at once; more wait.
    """

    def __init__(
        self, manager: ModelManager, metrics: Metrics, prometheus_path: str | None, timeout_s: float, threads: int
    ) -> None:
        self._manager = manager
        self._metrics = metrics
        self._prometheus_path = prometheus_path
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(max(1, threads))

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        if path == self._prometheus_path:
            return web.Response(text=self._metrics.page(), content_type="text/plain")
        if not path.lower().startswith("/v1/"):
            return web.Response(status=404, text="Not Found\n")
        started = time.monotonic()
        match = (_POST if request.method == "POST" else _GET).fullmatch(request.rel_url.path)
        found = match.groupdict() if match is not None and request.method in ("GET", "POST") else None
        name, method = (found.get("name") or "", (found.get("method") or "").lower()) if found else ("", "")
        code = Code.OK
        try:
            if found is None:
                raise invalid(f"Malformed request: {request.method} {path}")
            body = await request.read()
            async with self._places:
                text = await asyncio.wait_for(self._answer(found, name, method, body), self._timeout_s or None)
            self._metrics.request_latency.add((time.monotonic() - started) * 1e6, name, method, "REST")
        except ServingError as error:
            code, text = error.code, json.dumps({"error": error.message}, indent=4)
        except TimeoutError:
            code = Code.DEADLINE_EXCEEDED
            text = json.dumps({"error": f"Timed out after {self._timeout_s * 1000:.0f} ms"}, indent=4)
        self._metrics.request_count.add(name, code.name)
        return web.Response(status=code.http, text=text, content_type="application/json")

    async def _answer(self, found: dict[str, Any], name: str, method: str, body: bytes) -> str:
        spec = model_pb2.ModelSpec(name=name)
        if found["version"]:
            spec.version.value = _version(found["version"])
        if found["label"]:
            spec.version_label = found["label"]
        if method == "predict":
            return await self._predict(spec, body)
        if method == "classify":
            return await self._classify(spec, body)
        if method:
            raise ServingError(Code.UNIMPLEMENTED, f"{method} is not part of the stand-in")
        if not name:
            raise invalid("Missing model name in request.")
        if found["part"]:
            return self._metadata(spec)
        status = self._manager.status(name, spec.version.value if spec.HasField("version") else None)
        return _to_json(status)

    async def _predict(self, spec: Any, body: bytes) -> str:
        document = json_tensors.parse(body)
        servable = self._manager.find(spec)
        name = document.get("signature_name") or "serving_default"
        if name not in servable.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        inputs, as_rows = json_tensors.read_inputs(document, servable.signatures[name].inputs)
        outputs = await servable.predict(name, inputs, [])
        return json.dumps(json_tensors.write_outputs(outputs, as_rows))

    async def _classify(self, spec: Any, body: bytes) -> str:
        document = json_tensors.parse(body)
        servable = self._manager.find(spec)
        result = await servable.classify(document.get("signature_name", ""), json_tensors.read_examples(document))
        rows = [[[each.label, each.score] for each in row.classes] for row in result.classifications]
        return json.dumps({"results": rows})

    def _metadata(self, spec: Any) -> str:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.CopyFrom(spec)
        response = rpc.metadata(self._manager, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        parts = (_to_json(response.model_spec), _to_json(signatures))
        return f'{{\n"model_spec":{parts[0]},\n"metadata": {{"signature_def": {parts[1]}}}\n}}\n'


def _version(text: str) -> int:
    if int(text) >= 1 << 63:
        raise invalid(f"Failed to convert version: {text} to numeric.")
    return int(text)


def _to_json(message: Any) -> str:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    )
