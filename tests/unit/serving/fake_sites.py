"""Sites on loopback addresses that answer as a gateway in front of TensorFlow Serving does, and their DNS."""

import base64
import http.server
import json
import random
import socket
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field

import grpc
import numpy as np
from dnslib import QTYPE, RCODE, RR, SRV, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from serving.protos import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    types_pb2,
)
from serving.tensors import from_proto, to_proto

DOMAIN = "serve.test"
LABELS = [b"cat", b"dog"]
SCORES = [0.25, 0.75]


def free_port(*addresses: str) -> int:
    """Return a port that is free on every address."""
    while True:
        with socket.socket() as first:
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
        try:
            for address in addresses[1:]:
                with socket.socket() as other:
                    other.bind((address, port))
        except OSError:
            continue
        return int(port)


@dataclass
class Behaviour:
    """How a site answers: `code` fails every request, `delay_s` comes before any answer.

    `refuses_inputs` fails predictions only, as a model does that is sent what it cannot read.
    """

    code: str = ""
    message: str = "as told"
    delay_s: float = 0.0
    refuses_inputs: bool = False
    requests: list[dict] = field(default_factory=list)


class GrpcSite(prediction_service_pb2_grpc.PredictionServiceServicer):
    """A site that speaks gRPC."""

    def __init__(self, name: str, address: str, port: int) -> None:
        self.name, self.address, self.port = name, address, port
        self.behaviour = Behaviour()
        self._server: grpc.Server | None = None
        self.start()

    def start(self) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self._server)
        assert self._server.add_insecure_port(f"{self.address}:{self.port}")
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait(5)
            self._server = None

    def _begin(self, request, context) -> None:
        metadata = dict(context.invocation_metadata())
        self.behaviour.requests.append(
            {"model": metadata.get("x-model"), "spec": request.model_spec, "headers": metadata}
        )
        time.sleep(self.behaviour.delay_s)
        if self.behaviour.code:
            context.abort(grpc.StatusCode[self.behaviour.code], self.behaviour.message)
        context.send_initial_metadata((("x-served-by", self.name),))

    def Predict(self, request, context):
        self._begin(request, context)
        if self.behaviour.refuses_inputs:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.behaviour.message)
        (value,) = request.inputs.values()
        count = len(from_proto(value))
        answer = predict_pb2.PredictResponse()
        answer.outputs["labels"].CopyFrom(to_proto([LABELS] * count))
        answer.outputs["scores"].CopyFrom(to_proto(np.array([SCORES] * count, np.float32)))
        return answer

    def GetModelMetadata(self, request, context):
        self._begin(request, context)
        table = get_model_metadata_pb2.SignatureDefMap()
        table.signature_def["serving_default"].inputs["image_bytes"].dtype = types_pb2.DT_STRING
        table.signature_def["image_uint8"].inputs["image"].dtype = types_pb2.DT_UINT8
        for name in ("a", "b"):
            table.signature_def["two"].inputs[name].dtype = types_pb2.DT_STRING
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].Pack(table)
        return answer


class RestSite:
    """A site that speaks REST."""

    def __init__(self, name: str, address: str, port: int, context=None) -> None:
        self.name, self.address, self.port = name, address, port
        self.behaviour = Behaviour()
        self.states = {"1": "AVAILABLE"}
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                site._answer(self, b"")

            def do_POST(self) -> None:
                site._answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that goes away is part of the tests."""

        self._server = Server((address, port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, handler, body: bytes) -> None:
        self.behaviour.requests.append(
            {"path": handler.path, "host": handler.headers["Host"], "body": body, "headers": handler.headers}
        )
        time.sleep(self.behaviour.delay_s)
        status, document = 200, self._document(handler.path, body)
        if self.behaviour.refuses_inputs and body:
            status, document = 400, {"error": self.behaviour.message}
        elif self.behaviour.code:
            status, document = int(self.behaviour.code), {"error": self.behaviour.message}
        elif document is None:
            status, document = 404, {}
        data = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("x-served-by", self.name)
        handler.end_headers()
        handler.wfile.write(data)

    def _document(self, path: str, body: bytes) -> dict | None:
        if path in ("/v1/models/scenes", "/-/local-health/scenes"):
            return {"model_version_status": [{"version": v, "state": state} for v, state in self.states.items()]}
        if path == "/v1/models/scenes/metadata":
            inputs = {"image_bytes": {"dtype": "DT_STRING"}}
            return {"metadata": {"signature_def": {"signature_def": {"serving_default": {"inputs": inputs}}}}}
        if path.startswith("/v1/models/scenes") and path.endswith(":predict"):
            (values,) = json.loads(body)["inputs"].values()
            sent = [base64.b64decode(each["b64"]) if isinstance(each, dict) else each for each in values]
            labels = [label.decode() for label in LABELS]
            return {"outputs": {"labels": [labels] * len(sent), "scores": [SCORES] * len(sent)}}
        return None


class FakeDns(BaseResolver):
    """An authority for `DOMAIN`: one weighted A record an answer, a name per site, SRV records."""

    def __init__(self, sites: dict[str, tuple[str, int]], port: int) -> None:
        self.sites, self.site_port = dict(sites), port
        self.ttl = 1
        # Addresses to answer with for the public name, in place of a weighted choice.
        self.public: list[str] | None = None
        self.services = True
        self.queries = 0
        self._random = random.Random(7)
        self._server = DNSServer(
            self, address="127.0.0.1", port=0, logger=DNSLogger("-request,-reply,-truncated,-error")
        )
        self.port = self._server.server.server_address[1]
        self._thread = threading.Thread(target=self._server.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.server.shutdown()
        self._server.server.server_close()
        self._thread.join(5)

    def _records(self, name: str, kind: str) -> list:
        if name == DOMAIN and kind == "A":
            if self.public is not None:
                return [A(each) for each in self.public]
            addresses, weights = zip(*self.sites.values(), strict=True)
            return [A(self._random.choices(addresses, weights)[0])]
        if name == f"_predict._tcp.{DOMAIN}" and kind == "SRV" and self.services:
            return [SRV(0, weight, self.site_port, f"{site}.{DOMAIN}.") for site, (_, weight) in self.sites.items()]
        site = name.removesuffix(f".{DOMAIN}")
        return [A(self.sites[site][0])] if site in self.sites and kind == "A" else []

    def resolve(self, request, handler):
        self.queries += 1
        reply = request.reply()
        kind = QTYPE.get(request.q.qtype)
        records = self._records(str(request.q.qname).rstrip("."), kind)
        for record in records:
            reply.add_answer(RR(request.q.qname, request.q.qtype, rdata=record, ttl=self.ttl))
        if not records:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply
