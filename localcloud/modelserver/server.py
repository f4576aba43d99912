"""The life of one server: load everything, then open the ports, then serve until it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from localcloud.modelserver import messages, rpc
from localcloud.modelserver.batching import BatchScheduler, QueueOptions
from localcloud.modelserver.errors import Code, ServingError
from localcloud.modelserver.flags import Options
from localcloud.modelserver.library import yield_to_requests
from localcloud.modelserver.manager import LoadPolicy, ModelManager
from localcloud.modelserver.metrics import PROMETHEUS_PATH, Metrics
from localcloud.modelserver.rest import RestInterface
from localcloud.modelserver.servable import Engine, Servable
from serving.protos import config_pb2, model_server_config_pb2

_LOG = logging.getLogger("tensorflow_model_server")
ADDRESS_VARIABLE = "LOCALCLOUD_POD_ADDRESS"
RERUN_VARIABLE = "LOCALCLOUD_RERUN_FAILED_BATCHES"


class Server:
    """One model server.

    Args:
        options: Its flags.
        address: The IPv4 address to listen on.
        rerun_failed_batches: See BatchScheduler's `rerun_alone`.

    Raises:
        ServingError: INVALID_ARGUMENT: a configuration file cannot be read or says something impossible.
    """

    def __init__(self, options: Options, address: str, rerun_failed_batches: bool = False) -> None:
        self._options = options
        self._address = address
        self.metrics = Metrics()
        self._config = _model_config(options)
        self._prometheus_path = _prometheus_path(options)
        self._iterations = max(1, options.num_request_iterations_for_warmup)
        self._loader = ThreadPoolExecutor(1, "load", yield_to_requests)
        self._engine = self._make_engine(rerun_failed_batches)
        self._manager = ModelManager(
            self._load,
            LoadPolicy(
                poll_wait_s=options.file_system_poll_wait_seconds,
                max_num_load_retries=max(0, options.max_num_load_retries),
                retry_interval_s=options.load_retry_interval_micros / 1e6,
                allow_labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
            ),
        )

    def _make_engine(self, rerun_failed_batches: bool) -> Engine:
        options = self._options
        intra, inter = options.parallelism
        session = config_pb2.ConfigProto(intra_op_parallelism_threads=intra, inter_op_parallelism_threads=inter)
        scheduler = batching = None
        if options.enable_batching:
            message = messages.BatchingParameters()
            if options.batching_parameters_file:
                message = messages.read(options.batching_parameters_file, messages.BatchingParameters)
            scheduler = BatchScheduler.from_message(message, self.metrics, rerun_failed_batches)
            if not options.enable_per_model_batching_parameters:
                batching = QueueOptions.from_message(message)
        return Engine(
            config=session.SerializeToString(),
            tags=options.saved_model_tags.split(","),
            threads=ThreadPoolExecutor(max(1, options.grpc_max_threads), "run", yield_to_requests),
            metrics=self.metrics,
            scheduler=scheduler,
            batching=batching,
        )

    async def _load(self, name: str, version: int, path: Path) -> Servable:
        started = time.monotonic()
        # TensorFlow starts its threads while it loads a model, and they inherit the loading thread's priority.
        loop = asyncio.get_running_loop()
        servable = await loop.run_in_executor(self._loader, Servable, name, version, path, self._engine)
        loaded = time.monotonic()
        if self._options.enable_model_warmup:
            try:
                count = await servable.warm_up(self._iterations)
            except ServingError as error:
                await servable.close()
                raise ServingError(error.code, f"warm-up of {path} failed: {error.message}") from None
            _LOG.info(
                "Loaded %s in %.2f s; %d warmup records, %d times each, in %.2f s",
                path, loaded - started, count, self._iterations, time.monotonic() - loaded,
            )  # fmt: skip
        return servable

    async def run(self) -> None:
        """Load the models, open the ports and serve for ever.

        Raises:
            ServingError: A model did not become available, or a port is taken.
        """
        await self._manager.start(self._config)
        stack = contextlib.AsyncExitStack()
        async with stack:
            await self._start_grpc(stack)
            await self._start_rest(stack)
            await asyncio.gather(self._manager.poll(), self._poll_config(), asyncio.Event().wait())

    async def _start_grpc(self, stack: contextlib.AsyncExitStack) -> None:
        options = self._options
        arguments: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # two servers on one port must clash, not share it
            *options.channel_arguments,
        ]
        # The original answers RESOURCE_EXHAUSTED when it has no thread left for a request.
        server = grpc.aio.server(options=arguments, maximum_concurrent_rpcs=max(1, options.grpc_max_threads))
        rpc.add_services(server, self._manager, self.metrics, options.enable_serialization_as_tensor_content)
        if options.enable_grpc_healthcheck_service:
            server.add_generic_rpc_handlers((rpc.health_handler(),))
        where = f"{self._address}:{options.port}"
        try:
            server.add_insecure_port(where)
        except RuntimeError as error:
            raise ServingError(Code.INVALID_ARGUMENT, f"cannot listen for gRPC on {where}: {error}") from None
        await server.start()
        stack.push_async_callback(server.stop, 0)
        _LOG.info("Running gRPC ModelServer at %s ...", where)

    async def _start_rest(self, stack: contextlib.AsyncExitStack) -> None:
        options = self._options
        if not options.rest_api_port:
            return
        if options.rest_api_port == options.port:
            _LOG.error("rest_api_port cannot be same as port. Skipped exporting HTTP/REST API.")
            return
        rest = RestInterface(
            self._manager,
            self.metrics,
            self._prometheus_path,
            options.rest_api_timeout_in_ms / 1000,
            options.rest_api_num_threads,
        )
        runner = web.AppRunner(rest.application(), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        where = f"{self._address}:{options.rest_api_port}"
        try:
            await web.TCPSite(runner, self._address, options.rest_api_port, backlog=1024).start()
        except OSError as error:
            raise ServingError(Code.INVALID_ARGUMENT, f"cannot listen for REST on {where}: {error}") from None
        _LOG.info("Exporting HTTP/REST API at:%s ...", where)

    async def _poll_config(self) -> None:
        options = self._options
        while options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
            await asyncio.sleep(options.model_config_file_poll_wait_seconds)
            try:
                config = messages.read_models(options.model_config_file)
                if config != self._config:
                    await self._manager.reload(config)
                    self._config = config
            except ServingError as error:
                _LOG.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error.message)


def _model_config(options: Options) -> Any:
    if options.model_config_file:
        return messages.read_models(options.model_config_file)
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=options.model_name, base_path=os.path.abspath(options.model_base_path), model_platform="tensorflow"
    )
    return config


def _prometheus_path(options: Options) -> str | None:
    if not options.monitoring_config_file:
        return None
    config = messages.read(options.monitoring_config_file, messages.MonitoringConfig).prometheus_config
    return (config.path or PROMETHEUS_PATH) if config.enable else None
