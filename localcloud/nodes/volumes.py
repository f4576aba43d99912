"""A pod's volumes as directories of this machine."""

from __future__ import annotations

import base64
import time
from pathlib import Path

from localcloud.nodes.api import ApiError, KubeApi, Object
from localcloud.nodes.plan import field_value

_SHORTEST_TOKEN_S = 600
_DEFAULT_TOKEN_S = 3600
_DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """A volume cannot be made (yet); the text names it and why."""


class Volumes:
    """The volumes of one pod below `directory`; tokens in them are renewed in time."""

    def __init__(self, api: KubeApi, pod: Object, directory: Path) -> None:
        self._api = api
        self._pod = pod
        self._directory = directory
        self._renew_at: dict[tuple[Path, str, int], float] = {}

    async def prepare(self) -> dict[str, tuple[Path, bool]]:
        """Make every volume; return path and whether it is read-only by kind, by name.

        Raises:
            VolumeError: If something a volume is made of is missing.
        """
        result = {}
        for volume in self._pod["spec"].get("volumes") or []:
            path = self._directory / volume["name"]
            path.mkdir(parents=True, exist_ok=True)
            result[volume["name"]] = (path, "emptyDir" not in volume)
            if "emptyDir" in volume:
                path.chmod(0o777)
                continue
            source = _source(volume)
            for part in source:
                await self._write(volume["name"], path, part)
        return result

    async def renew(self) -> None:
        """Write new tokens where the old ones have lived 80 % of their time."""
        for key, due in list(self._renew_at.items()):
            if time.time() >= due:
                await self._token(*key)

    async def _write(self, name: str, directory: Path, part: Object) -> None:
        if "serviceAccountToken" in part:
            wanted = part["serviceAccountToken"]
            life = max(_SHORTEST_TOKEN_S, int(wanted.get("expirationSeconds") or _DEFAULT_TOKEN_S))
            await self._token(directory / wanted["path"], wanted.get("audience") or "", life)
        elif "downwardAPI" in part:
            for item in part["downwardAPI"].get("items") or []:
                if "fieldRef" in item:
                    text = field_value(self._pod, item["fieldRef"]["fieldPath"])
                    _put(directory / item["path"], text.encode(), item.get("mode"))
        elif "configMap" in part:
            await self._copy(name, directory, "configmaps", part["configMap"])
        else:
            await self._copy(name, directory, "secrets", part["secret"])

    async def _copy(self, name: str, directory: Path, plural: str, source: Object) -> None:
        wanted = source.get("name") or source.get("secretName")
        namespace = self._pod["metadata"]["namespace"]
        found = await self._api.find(f"/api/v1/namespaces/{namespace}/{plural}/{wanted}")
        if found is None:
            if source.get("optional"):
                return
            raise VolumeError(f'volume "{name}": {plural.rstrip("s")} "{wanted}" not found')
        content = contents(found)
        chosen = source.get("items") or [{"key": key, "path": key} for key in content]
        for item in chosen:
            if item["key"] not in content:
                if source.get("optional"):
                    continue
                raise VolumeError(f'volume "{name}": {plural.rstrip("s")} "{wanted}" has no key "{item["key"]}"')
            _put(directory / item["path"], content[item["key"]], item.get("mode") or source.get("defaultMode"))

    async def _token(self, path: Path, audience: str, life_s: int) -> None:
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        account = spec.get("serviceAccountName", "default")
        request: Object = {
            "expirationSeconds": life_s,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]},
        }
        if audience:
            request["audiences"] = [audience]
        try:
            answer = await self._api.post(
                f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token", {"spec": request}
            )
        except ApiError as error:
            raise VolumeError(f"token of service account {account!r}: {error}") from None
        _put(path, answer["status"]["token"].encode(), 0o600)
        self._renew_at[path, audience, life_s] = time.time() + 0.8 * life_s


def contents(found: Object) -> dict[str, bytes]:
    """Return the entries of a ConfigMap or Secret."""
    encoded = found.get("binaryData") or {}
    plain = found.get("data") or {}
    if found.get("kind") == "Secret":
        encoded, plain = plain, {}
    return {key: base64.b64decode(value) for key, value in encoded.items()} | {k: v.encode() for k, v in plain.items()}


def _source(volume: Object) -> list[Object]:
    if "projected" in volume:
        return list(volume["projected"].get("sources") or [])
    kinds = [kind for kind in ("configMap", "secret", "downwardAPI") if kind in volume]
    if not kinds:
        kind = next((key for key in volume if key != "name"), "nothing")
        raise VolumeError(f'volume "{volume["name"]}": volumes of kind {kind} are not supported by the local clouds')
    return [{kind: volume[kind]} for kind in kinds]


def _put(path: Path, content: bytes, mode: int | None) -> None:
    """Replace a file in one step, so that a container never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"..{path.name}.part")
    part.write_bytes(content)
    part.chmod(mode or _DEFAULT_MODE)
    part.replace(path)
