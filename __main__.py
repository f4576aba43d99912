"""The stack: sites on any mix of clouds behind one public name, as `tricorn:settings` of the stack file says."""

import pulumi

from components._stack import declare_endpoint, declare_site, load_bundles
from serving.settings import load_settings

settings = load_settings()
bundles = load_bundles(settings)
sites = {name: declare_site(name, settings, bundles) for name in settings.sites}
endpoint = declare_endpoint(settings, sites)

pulumi.export("endpoint", f"{settings.domain}:{settings.ingress.listen_port}")
pulumi.export("name_servers", endpoint.name_servers)
pulumi.export("addresses", {name: site.cluster.addresses for name, site in sites.items()})
pulumi.export("registries", {name: site.cluster.registry_url for name, site in sites.items()})
pulumi.export("stores", {name: site.cluster.store_bucket for name, site in sites.items()})
pulumi.export("kubeconfigs", {name: site.cluster.kubeconfig for name, site in sites.items()})
