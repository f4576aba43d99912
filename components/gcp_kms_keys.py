"""Encryption keys of a serving site on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._naming import tags

ROTATION_PERIOD = f"{90 * 24 * 3600}s"
ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
AGENTS = {
    "secrets": "container-engine-robot",
    "disks": "compute-system",
    "images": "gcp-sa-artifactregistry",
    "models": "gs-project-accounts",
}
"""Use of a key to the domain of the service agent that encrypts with it: `service-<project number>@<domain>`."""
IDENTITIES = ("artifactregistry", "container", "storage")
"""Services whose agent must be asked for; the one of Compute Engine comes with the service."""


@dataclass(frozen=True, kw_only=True)
class GcpKmsKeysArgs:
    """Arguments of `GcpKmsKeys`."""

    project: str
    """Google Cloud project id."""
    location: str
    """Region of what the keys encrypt. A change replaces the keys."""
    protect: Optional[bool] = None
    """Refuse to destroy the keys, and with them all they encrypt. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class GcpKmsKeys(pulumi.ComponentResource):
    """A key ring with one key per use, each usable by the one service agent that needs it, new versions every 90 days.

    Google Cloud deletes neither key rings nor keys: destroying this one schedules the keys' versions for destruction,
    30 days later by default, and leaves empty shells whose names are used up. The names here are automatic, so that
    the same stack can be made again. Needs the roles `roles/cloudkms.admin` and `roles/serviceusage.serviceUsageAdmin`.
    """

    secrets_key: pulumi.Output[str]
    """Id of the key for Kubernetes secrets; like the others known once its service agent may use it."""
    disks_key: pulumi.Output[str]
    """Id of the key for nodes' disks."""
    images_key: pulumi.Output[str]
    """Id of the key for container images."""
    models_key: pulumi.Output[str]
    """Id of the key for the model store."""

    def __init__(self, name: str, args: GcpKmsKeysArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GcpKmsKeys), name, {}, opts)
        a = coerce(GcpKmsKeysArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        identities = [
            gcp.projects.ServiceIdentity(
                f"{name}-{service}-agent", project=a.project, service=f"{service}.googleapis.com", opts=child
            )
            for service in IDENTITIES
        ]
        # Cloud Storage makes its agent but does not name it (hashicorp/terraform-provider-google#18649), so the
        # project's number comes from another one's name: that needs no call that a dead API could fail.
        number = identities[0].email.apply(lambda email: email.partition("@")[0].removeprefix("service-"))
        ring = gcp.kms.KeyRing(f"{name}-ring", project=a.project, location=a.location, opts=child)
        self._keys: dict[str, pulumi.Output[str]] = {}
        for use, domain in AGENTS.items():
            key = gcp.kms.CryptoKey(
                f"{name}-{use}",
                key_ring=ring.id,
                purpose="ENCRYPT_DECRYPT",
                rotation_period=ROTATION_PERIOD,
                labels=tags("GcpKmsKeys", a.labels),
                opts=protected(self, a.protect),
            )
            grant = gcp.kms.CryptoKeyIAMMember(
                f"{name}-{use}-agent",
                crypto_key_id=key.id,
                role=ROLE,
                member=pulumi.Output.concat("serviceAccount:service-", number, f"@{domain}.iam.gserviceaccount.com"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=identities),
            )
            self._keys[use] = pulumi.Output.all(key.id, grant.id).apply(lambda ids: str(ids[0]))
        self.secrets_key, self.disks_key = self._keys["secrets"], self._keys["disks"]
        self.images_key, self.models_key = self._keys["images"], self._keys["models"]
        self.register_outputs({f"{use}_key": key for use, key in self._keys.items()})
