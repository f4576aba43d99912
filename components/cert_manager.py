"""cert-manager, which makes and renews the certificates of a cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_kubernetes as k8s

from components._base import coerce, reject, token
from components._kubernetes import image_values
from serving.certificates import CERT_MANAGER_ACCOUNT, CERT_MANAGER_NAMESPACE

CHART = "oci://quay.io/jetstack/charts/cert-manager"
CHART_VERSION = "v1.20.2"
PARTS = {
    "controller": f"quay.io/jetstack/cert-manager-controller:{CHART_VERSION}",
    "webhook": f"quay.io/jetstack/cert-manager-webhook:{CHART_VERSION}",
    "cainjector": f"quay.io/jetstack/cert-manager-cainjector:{CHART_VERSION}",
    "acmesolver": f"quay.io/jetstack/cert-manager-acmesolver:{CHART_VERSION}",
    "startupapicheck": f"quay.io/jetstack/cert-manager-startupapicheck:{CHART_VERSION}",
}
"""Images of the chart by part, as they are called in public."""


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs:
    """Arguments of `CertManager`."""

    images: Optional[dict[str, pulumi.Input[str]]] = None
    """Images by part: controller, webhook, cainjector, acmesolver, startupapicheck. Default those of quay.io."""
    highly_available: Optional[bool] = None
    """Two pods of each part, which needs two nodes to be of use. Default False."""

    def __post_init__(self) -> None:
        known = ", ".join(PARTS)
        reject(
            "CertManager",
            [(f"images.{part}", f"must be one of {known}") for part in self.images or {} if part not in PARTS],
        )


class CertManager(pulumi.ComponentResource):
    """cert-manager with its kinds, once per cluster. Makes no issuer and no certificate.

    Its controller's service account is `cert-manager` in the namespace `cert-manager`, for identities in a cloud. The
    kinds stay when it is deleted, as Helm leaves them.
    """

    namespace: pulumi.Output[str]
    """Namespace of cert-manager, known once its kinds can be used."""

    def __init__(self, name: str, args: CertManagerArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(CertManager), name, {}, opts)
        a = coerce(CertManagerArgs, args)
        parts = {part: {"image": image_values(image)} for part, image in (a.images or {}).items()}
        pods = {"replicaCount": 2, "podDisruptionBudget": {"enabled": True}} if a.highly_available else {}
        # The release; what depends on it may use the kinds. Not an output: a resource has no schema type.
        self.release: pulumi.Resource = k8s.helm.v3.Release(
            f"{name}-release",
            chart=CHART,
            version=CHART_VERSION,
            namespace=CERT_MANAGER_NAMESPACE,
            create_namespace=True,
            values={
                "crds": {"enabled": True},
                # Or all names would follow the release's, which is generated.
                "fullnameOverride": CERT_MANAGER_ACCOUNT,
                "serviceAccount": {"name": CERT_MANAGER_ACCOUNT},
                # The default, kube-system, is not writable on every managed cluster.
                "global": {"leaderElection": {"namespace": CERT_MANAGER_NAMESPACE}},
                **parts.pop("controller", {}),
                **pods,
                "webhook": {**parts.pop("webhook", {}), **pods},
                "cainjector": {**parts.pop("cainjector", {}), **pods},
                **parts,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.namespace = self.release.urn.apply(lambda _: CERT_MANAGER_NAMESPACE)
        self.register_outputs({"namespace": self.namespace})
