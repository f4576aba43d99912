"""Which requests reach which versions of a model in a cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from components._refusals import section_problems
from serving.protocol import health_path
from serving.routes import model_routes
from serving.settings_access import ApiKeys, Callers, Jwt
from serving.settings_sections import Serving

DEFAULT_REQUEST_TIMEOUT_MS = 10_000


@dataclass(frozen=True, kw_only=True)
class CallerPolicy:
    """Who may ask for predictions: callers with a token, callers with a key, or either; everyone without both."""

    jwt_issuer: Optional[str] = None
    """Issuer that tokens must have. Default none: no tokens."""
    jwt_audiences: Optional[list[str]] = None
    """Audiences, one of which a token must have. Needed with `jwt_issuer`."""
    jwks_uri: Optional[str] = None
    """Address of the issuer's public keys. With `jwt_issuer`, this or `jwks`."""
    jwks: Optional[str] = None
    """The public keys themselves (JSON)."""
    api_key_secret: Optional[str] = None
    """Secret in the namespace; each entry is a caller's name and key. Default none: no keys."""
    api_key_header: Optional[str] = None
    """Header that holds the key. Default x-api-key."""
    requests_per_second: Optional[int] = None
    """Most requests per second and proxy. Default none: no limit."""

    def problems(self) -> list[tuple[str, str]]:
        """Find what is wrong, as pairs of argument name and reason."""
        bad = section_problems(Callers, {"requests_per_second": self.requests_per_second})
        if self.jwt_issuer is not None or self.jwt_audiences or self.jwks_uri or self.jwks:
            names = {"issuer": "jwtIssuer", "audiences": "jwtAudiences"}
            bad += section_problems(Jwt, self._jwt(), names)
            if (self.jwks is None) == (self.jwks_uri is None):
                bad.append(("jwksUri", "is needed with jwtIssuer, or jwks in its place, but not both"))
        if self.api_key_secret is not None:
            bad += section_problems(ApiKeys, self._keys(), {"secret": "apiKeySecret", "header": "apiKeyHeader"})
        elif self.api_key_header is not None:
            bad.append(("apiKeyHeader", "has no meaning without apiKeySecret"))
        return [(f"callers.{path}", reason) for path, reason in bad]

    def section(self) -> Callers:
        """Return the same as a section of the settings."""
        wanted: dict[str, object] = {"requests_per_second": self.requests_per_second}
        if self.jwt_issuer is not None:
            wanted["jwt"] = self._jwt()
        if self.api_key_secret is not None:
            wanted["api_keys"] = {key: value for key, value in self._keys().items() if value is not None}
        return Callers.model_validate(wanted, by_name=True)

    def _jwt(self) -> dict[str, object]:
        audiences = self.jwt_audiences or []
        return {"issuer": self.jwt_issuer, "audiences": audiences, "jwks_uri": self.jwks_uri, "jwks": self.jwks}

    def _keys(self) -> dict[str, object]:
        return {"secret": self.api_key_secret, "header": self.api_key_header}


@dataclass(frozen=True, kw_only=True)
class ModelRoutesArgs:
    """Arguments of `ModelRoutes`."""

    model: str
    """Name of the model."""
    namespace: str
    """Namespace of the Gateway and the model servers."""
    site: str
    """Name of the site, told to callers in the header `x-served-by`."""
    versions: dict[str, int]
    """Share of the requests by version, in percent; they add up to 100."""
    default: Optional[bool] = None
    """Whether gRPC callers that name no model get this one. Default False."""
    request_timeout_ms: Optional[int] = None
    """Longest request in milliseconds. Default 10000."""
    callers: Optional[CallerPolicy] = None
    """Who may ask. Default everyone; health checks are always open."""
    peers: Optional[dict[str, int]] = None
    """Other sites to ask while no local server is healthy, with their shares among each other. Needs `PeerBackends`
    and the same sites in `GatewayIngress`. Default none."""

    def __post_init__(self) -> None:
        bad = []
        if sum(self.versions.values()) != 100 or min(self.versions.values(), default=-1) < 0:
            bad.append(("versions", f"must be shares from 0 that add up to 100, got {self.versions}"))
        bad += [
            (f"versions.{version}", "must be a version number") for version in self.versions if not version.isdigit()
        ]
        bad += section_problems(Serving, {"request_timeout_ms": self.request_timeout_ms})
        bad += [
            (f"peers.{peer}", f"must be 0 or more, got {share}")
            for peer, share in (self.peers or {}).items()
            if share < 0
        ]
        if isinstance(self.callers, CallerPolicy):
            bad += self.callers.problems()
        reject("ModelRoutes", bad)


class ModelRoutes(pulumi.ComponentResource):
    """Routes of one model for gRPC, REST and health checks: weights by version, retries, callers, other sites."""

    health_path: pulumi.Output[str]
    """Path that answers while this site serves the model."""

    def __init__(self, name: str, args: ModelRoutesArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ModelRoutes), name, {}, opts)
        a = coerce(ModelRoutesArgs, args)
        objects = model_routes(
            a.model,
            a.namespace,
            a.site,
            {int(version): weight for version, weight in a.versions.items()},
            default=bool(a.default),
            request_timeout_ms=a.request_timeout_ms or DEFAULT_REQUEST_TIMEOUT_MS,
            callers=a.callers.section() if a.callers is not None else None,
            peers=a.peers or None,
        )
        policies: list[pulumi.Resource] = []
        # Policies first: a route without them would be open to everybody.
        for role in sorted(objects, key=lambda role: not role.startswith("access-")):
            guarded = role in ("grpc-route", "http-route")
            options = pulumi.ResourceOptions(parent=self, depends_on=policies if guarded else None)
            made = manifest_resource(f"{name}-{role}", objects[role], options)
            if role.startswith("access-"):
                policies.append(made)
        self.health_path = pulumi.Output.from_input(health_path(a.model))
        self.register_outputs({"health_path": self.health_path})
