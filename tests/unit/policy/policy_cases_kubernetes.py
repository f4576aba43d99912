"""Cases of what is declared inside clusters, and of every resource's inputs."""

from __future__ import annotations

import base64

from tests.unit.policy.policy_cases import REMOVED, Bad, Case

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"docker.io/tensorflow/serving:2.20.0-gpu@{DIGEST}"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SERVER = {"name": "server", "image": IMAGE, "command": ["/usr/bin/tensorflow_model_server"]}
PULLER = {"name": "pull", "image": f"docker.io/rclone/rclone@{DIGEST}"}
TEMPLATE = {
    "metadata": {"annotations": {"tricorn.dev/bundle": DIGEST}},
    "spec": {"initContainers": [PULLER], "containers": [SERVER]},
}
KEY = "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzZXJ2aWNlIn0.c2lnbmF0dXJlLWJ5dGVz"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CASES = (
    Case(
        "kubernetes-image-digest", DEPLOYMENT, {"spec": {"template": TEMPLATE}},
        (
            Bad("spec.template.spec.containers.0.image", "docker.io/tensorflow/serving:2.20.0-gpu", production=True),
            Bad("spec.template.spec.containers.0.image", "docker.io/tensorflow/serving@sha256:abc", production=True),
            Bad("spec.template.spec.initContainers.0.image", "docker.io/rclone/rclone", production=True),
        ),
    ),
    Case(
        "kubernetes-image-digest", "kubernetes:batch/v1:CronJob",
        {"spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}},
        (Bad("spec.jobTemplate.spec.template.spec.containers.0.image", "a/b:1", production=True),),
    ),
    Case(
        "kubernetes-image-digest", "kubernetes:core/v1:Pod", TEMPLATE,
        (Bad("spec.containers.0.image", "a/b:1", production=True),),
    ),
    Case(
        "kubernetes-bundle-digest", DEPLOYMENT, {"spec": {"template": TEMPLATE}},
        (
            Bad("spec.template.metadata.annotations", {}, "spec.template.metadata.annotations.tricorn.dev/bundle"),
            Bad("spec.template.metadata.annotations", {"tricorn.dev/bundle": "latest"},
                "spec.template.metadata.annotations.tricorn.dev/bundle"),
        ),
        (("spec.template.spec.containers.0.command", ["/bin/other"]),
         ("spec.template.spec.containers.0.command", REMOVED)),
    ),
    Case(
        "kubernetes-load-balancer", "kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}},
        (Bad("spec.type", "LoadBalancer"),),
        (("spec", {}),),
    ),
    Case(
        "kubernetes-envoy-service", "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy",
        {"spec": {"provider": {"kubernetes": {"envoyService": {"type": "ClusterIP"}}}}},
        (
            Bad("spec.provider.kubernetes.envoyService.type", "LoadBalancer"),
            Bad("spec.provider", REMOVED, "spec.provider.kubernetes.envoyService.type"),
        ),
    ),
    Case(
        "no-secrets", "kubernetes:core/v1:ConfigMap",
        {
            "data": {
                "ca.crt": CERTIFICATE, "encoded": encoded(CERTIFICATE), "script": "tokenizer: something-rather-long",
                "arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/docker-hub-abcdef",
            },
            "env": [{"name": "BUNDLE_KEY", "value": "bundles/scenes/abc.tar"}],
            "tlsSecret": "serving-certificate",
        },
        (
            Bad("data.key", KEY),
            Bad("data.key", encoded(KEY)),
            Bad("data.key", "text before\n" + KEY.replace("EC ", "")),
            Bad("data.key", '{"type": "service_account", "private_key_id": "abc"}'),
            Bad("data.key", "AKIA" + "A1B2" * 4),
            Bad("data.key", "aws_secret_access_key = " + "a" * 40),
            Bad("data.key", "DefaultEndpointsProtocol=https;AccountKey=" + "a" * 86 + "=="),
            Bad("data.key", "https://a.blob.core.windows.net/c?sv=1&sig=" + "a" * 43),
            Bad("data.key", "ghp_" + "a" * 36),
            Bad("data.key", "dckr_pat_" + "a" * 27),
            Bad("data.key", "xoxb-" + "1" * 24),
            Bad("data.key", TOKEN),
            Bad("data.key", '{"users": [{"user": {"client-key-data": "' + "A" * 40 + '"}}]}'),
            Bad("data.key", '{"kubeconfig": "{\\"user\\": {\\"token\\": \\"' + "a" * 40 + '\\"}}"}'),
            Bad("adminPassword", "correct horse"),
            Bad("env.0", {"name": "DB_PASSWORD", "value": "correct horse"}, "env.0.DB_PASSWORD"),
        ),
    ),
)  # fmt: skip
