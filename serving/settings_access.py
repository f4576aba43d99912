"""Sections of the settings about who may do what: administrators, pipelines, and callers of models."""

from typing import Annotated

from pydantic import Field

from serving.settings_base import Block, ObjectName

_ROLE_ARN = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.*[^/]$"
_UUID = r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


class Admins(Block):
    """Groups that administer the clusters; people come and go in the groups, not here."""

    aws: Annotated[tuple[Annotated[str, Field(pattern=_ROLE_ARN)], ...], Field(strict=False)] = Field(
        default=(), description="ARNs of IAM roles"
    )
    gcp: Annotated[tuple[Annotated[str, Field(pattern=_EMAIL)], ...], Field(strict=False)] = Field(
        default=(), description="e-mail addresses of Google groups"
    )
    azure: Annotated[tuple[Annotated[str, Field(pattern=_UUID)], ...], Field(strict=False)] = Field(
        default=(), description="object ids of Microsoft Entra groups"
    )


class Ci(Block):
    """The pipeline that previews and deploys, known by its own OpenID Connect tokens: no key is stored anywhere."""

    issuer: str = Field(
        default="https://token.actions.githubusercontent.com",
        pattern=r"^https://[^\s]+[^/\s]$",
        description="issuer of the pipeline's tokens, without a final slash",
    )
    preview: str = Field(min_length=1, description="exact subject of tokens that may preview, which only reads")
    deploy: str = Field(min_length=1, description="exact subject of tokens that may deploy")


class Jwt(Block):
    """Callers with a signed token in the Authorization header."""

    issuer: str = Field(pattern=r"^https://[^\s]+$", description="issuer that tokens must have")
    audiences: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = Field(
        description="audiences, one of which a token must have"
    )
    jwks_uri: str | None = Field(
        default=None, pattern=r"^https://[^\s]+$", description="address of the issuer's public keys"
    )
    jwks: str | None = Field(
        default=None, pattern=r"^\s*\{", description="the public keys themselves (JSON), in place of jwksUri"
    )


class ApiKeys(Block):
    """Callers with a key in a header. The keys lie in a Secret of every cluster that this stack never reads."""

    secret: ObjectName = Field(description="Secret in the serving namespace; each entry is a caller's name and key")
    header: str = Field(default="x-api-key", pattern=r"^[a-z][a-z0-9-]*$", description="header that holds the key")


class Callers(Block):
    """Who may ask for predictions; everyone when neither jwt nor apiKeys is given. Health checks are always open."""

    jwt: Jwt | None = Field(default=None, description="callers with a signed token")
    api_keys: ApiKeys | None = Field(default=None, description="callers with a key")
    requests_per_second: int | None = Field(
        default=None, ge=1, le=1_000_000, description="most requests per second, model and proxy; no limit when absent"
    )


class Access(Block):
    """Who may do what."""

    admins: Admins = Field(default=Admins(), description="groups that administer the clusters")
    ci: Ci | None = Field(default=None, description="the pipeline; no identity is made for one when absent")
    callers: Callers = Field(default=Callers(), description="who may ask for predictions")
