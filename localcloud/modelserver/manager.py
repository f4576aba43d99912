"""Which versions of which models are served: from the configuration and the file system to loaded servables."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.modelserver.errors import Code, ServingError, invalid
from localcloud.modelserver.messages import check_models
from localcloud.modelserver.servable import Servable
from serving.protos import get_model_status_pb2

_LOG = logging.getLogger("tensorflow_model_server")
State: Any = get_model_status_pb2.ModelVersionStatus
_NEXT_TO_NOTHING_S = 0.05


@dataclass(frozen=True, kw_only=True)
class LoadPolicy:
    """How versions are found and loaded; the fields are the flags of the same names, in seconds.

    Attributes:
        poll_wait_s: Pause between looks at the file system; 0 looks once, negative never.
        max_num_load_retries: Further attempts after a failed load.
        retry_interval_s: Pause between attempts.
        allow_labels_for_unavailable: Whether a label not in use yet may name a version that is not available.
    """

    poll_wait_s: float
    max_num_load_retries: int
    retry_interval_s: float
    allow_labels_for_unavailable: bool


@dataclass
class VersionStatus:
    """The state of one version, as GetModelStatus reports it."""

    state: int
    error: ServingError | None = None
    servable: Servable | None = None


def aspired_versions(model: Any) -> dict[int, Path]:
    """Return the versions of a model that its policy wants and the file system has.

    A directory whose name is not a number is ignored, which is how a version is written beside and renamed into place.

    Args:
        model: A ModelConfig.

    Raises:
        ServingError: INVALID_ARGUMENT when the base path does not exist.
    """
    base = Path(model.base_path)
    try:
        names = [entry.name for entry in base.iterdir() if entry.is_dir()]
    except OSError as error:
        raise invalid(f"Could not find base path {base} for servable {model.name} with error {error}") from None
    present = {int(name): base / name for name in sorted(names) if name.isascii() and name.isdecimal()}
    policy, kind = model.model_version_policy, model.model_version_policy.WhichOneof("policy_choice")
    if kind == "all":
        wanted = set(present)
    elif kind == "specific":
        wanted = set(policy.specific.versions)
        for version in sorted(wanted - set(present)):
            _LOG.warning(
                "Version %s of servable %s, which was requested to be served as a 'specific' version in the servable's "
                "version policy, was not found in the file system", version, model.name,
            )  # fmt: skip
    else:
        wanted = set(sorted(present)[-max(policy.latest.num_versions, 1) :])
    found = {version: path for version, path in present.items() if version in wanted}
    if not found:
        _LOG.warning(
            "No versions of servable %s found under base path %s. Did you forget to name your leaf directory as a "
            "number (eg. '/1/')?", model.name, base,
        )  # fmt: skip
    return found


class ModelManager:
    """Loads, finds and unloads versions.

    Args:
        load: Loads and warms up one version: name, version, directory.
        policy: How versions are found and loaded.
    """

    def __init__(self, load: Callable[[str, int, Path], Awaitable[Servable]], policy: LoadPolicy) -> None:
        self._load = load
        self._policy = policy
        self._models: dict[str, Any] = {}
        self._versions: dict[str, dict[int, VersionStatus]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._changing = asyncio.Lock()

    async def start(self, config: Any) -> None:
        """Take the first configuration and wait until every model has a version that serves.

        An empty base path keeps it waiting, for ever when polling is off, as in the original.

        Raises:
            ServingError: UNKNOWN naming the versions that failed to load and why, or a label that cannot be assigned.
        """
        check_models(config)
        self._models = {model.name: model for model in config.model_config_list.config}
        self._labels = self._checked_labels(config)
        looks = 0
        while not all(self._available(name) for name in self._models):
            if looks == 0 or self._policy.poll_wait_s > 0:
                await self._reconcile()
            self._raise_failures(set(self._models))
            looks += 1
            if not all(self._available(name) for name in self._models):
                await asyncio.sleep(max(self._policy.poll_wait_s, _NEXT_TO_NOTHING_S))

    async def poll(self) -> None:
        """Look at the file system again and again and follow it; returns at once when polling is off."""
        while self._policy.poll_wait_s > 0:
            await asyncio.sleep(self._policy.poll_wait_s)
            await self._reconcile()

    async def reload(self, config: Any) -> None:
        """Change to another configuration and wait until its new models serve; what it does not name is unloaded.

        The order is the original's: labels are checked against what serves now, before any new version is loaded.

        Raises:
            ServingError: FAILED_PRECONDITION for a label of a version that does not serve, INVALID_ARGUMENT for a
                wrong configuration, UNKNOWN when a new model fails to load.
        """
        check_models(config)
        if config.WhichOneof("config") != "model_config_list":
            raise ServingError(
                Code.FAILED_PRECONDITION,
                "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to "
                "another.",
            )
        labels = self._checked_labels(config)
        added = {model.name for model in config.model_config_list.config} - set(self._models)
        self._models = {model.name: model for model in config.model_config_list.config}
        self._labels = labels
        await self._reconcile()
        self._raise_failures(added)

    def find(self, spec: Any) -> Servable:
        """Return the servable a ModelSpec asks for: by version, by label, else the latest.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT for an empty name or an unknown label.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        serving = {
            version: status.servable
            for version, status in self._versions.get(spec.name, {}).items()
            if status.servable is not None
        }
        if choice is None:
            if not serving:
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
            return serving[max(serving)]
        version = spec.version.value
        if choice == "version_label":
            labels = self._labels.get(spec.name, {})
            if spec.version_label not in labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            version = labels[spec.version_label]
        if version not in serving:
            raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Specific({spec.name}, {version})")
        return serving[version]

    def status(self, name: str, version: int | None) -> Any:
        """Return a GetModelStatusResponse for one version or all versions of a model.

        Raises:
            ServingError: NOT_FOUND.
        """
        versions = self._versions.get(name, {})
        if version is not None:
            if version not in versions:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
            versions = {version: versions[version]}
        if not versions:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, status in sorted(versions.items()):
            added = response.model_version_status.add(version=number, state=status.state)
            added.status.SetInParent()
            if status.error is not None:
                added.status.error_code = int(status.error.code)
                added.status.error_message = status.error.message
        return response

    def _available(self, name: str) -> bool:
        return any(status.servable is not None for status in self._versions.get(name, {}).values())

    def _raise_failures(self, names: set[str]) -> None:
        failed = [
            f"{{{{name: {name} version: {version}}} due to error: {status.error}}}"
            for name in sorted(names)
            for version, status in self._versions.get(name, {}).items()
            if status.error is not None and not self._available(name)
        ]
        if failed:
            text = f"{len(failed)} model(s) did not become available: {{{', '.join(failed)}}}"
            raise ServingError(Code.UNKNOWN, text)

    def _checked_labels(self, config: Any) -> dict[str, dict[str, int]]:
        labels: dict[str, dict[str, int]] = {}
        for model in config.model_config_list.config:
            labels[model.name] = dict(model.version_labels)
            for label, version in labels[model.name].items():
                status = self._versions.get(model.name, {}).get(version)
                old = self._labels.get(model.name, {}).get(label, version)
                tolerated = self._policy.allow_labels_for_unavailable and old == version
                if not tolerated and (status is None or status.servable is None):
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {model.name}, which is not currently "
                        "available for inference",
                    )
        return labels

    async def _reconcile(self) -> None:
        async with self._changing:
            for name, model in list(self._models.items()):
                try:
                    aspired = aspired_versions(model)
                except ServingError as error:
                    _LOG.error("FileSystemStoragePathSource encountered a filesystem access error: %s", error.message)
                    continue
                known = self._versions.setdefault(name, {})
                for version, path in sorted(aspired.items()):
                    if version not in known or (known[version].state == State.END and known[version].error is None):
                        await self._load_version(name, version, path)
                # Availability before economy: the old version leaves when a new one serves.
                if any(known[version].servable is not None for version in aspired):
                    await self._unload(name, set(known) - set(aspired))
            for name in set(self._versions) - set(self._models):
                await self._unload(name, set(self._versions[name]))

    async def _load_version(self, name: str, version: int, path: Path) -> None:
        status = self._versions[name][version] = VersionStatus(State.LOADING)
        for attempt in range(self._policy.max_num_load_retries + 1):
            if attempt:
                _LOG.info("Retrying to load {name: %s version: %s} retry: %d", name, version, attempt)
                await asyncio.sleep(max(0.0, self._policy.retry_interval_s))
            try:
                status.servable = await self._load(name, version, path)
            except ServingError as error:
                _LOG.error("Loading servable: {name: %s version: %s} failed: %s", name, version, error)
                failure = error
            else:
                status.state = State.AVAILABLE
                _LOG.info("Successfully loaded servable version {name: %s version: %s}", name, version)
                return
        status.state, status.error = State.END, failure

    async def _unload(self, name: str, versions: set[int]) -> None:
        for version in versions:
            status = self._versions[name][version]
            servable, status.servable = status.servable, None
            if servable is not None:
                status.state = State.UNLOADING
                await servable.close()
                _LOG.info("Done unloading servable version {name: %s version: %s}", name, version)
            status.state = State.END
