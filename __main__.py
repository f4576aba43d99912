"""The stack: sites on any mix of clouds behind one public name, as `tricorn:settings` of the stack file says."""

import pulumi

from components._preflight import preflight
from components._stack import declare_endpoint, declare_providers, declare_sites
from components._stack_bundles import load_bundles
from serving.settings import load_settings

settings = load_settings()
bundles = load_bundles(settings)
providers = declare_providers(settings)
preflight(settings, bundles, providers)
sites = declare_sites(settings, bundles, providers)
endpoint = declare_endpoint(settings, sites)

pulumi.export("endpoint", f"{settings.domain}:{settings.ingress.listen_port}")
pulumi.export("name_servers", endpoint.name_servers)
pulumi.export("addresses", {name: site.cluster.addresses for name, site in sites.items()})
pulumi.export("registries", {name: site.cluster.registry_url for name, site in sites.items()})
pulumi.export("stores", {name: site.cluster.store_bucket for name, site in sites.items()})
pulumi.export("kubeconfigs", {name: site.cluster.kubeconfig for name, site in sites.items()})
