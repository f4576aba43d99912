"""The stack: sites on any mix of clouds behind one public name, as `tricorn:settings` of the stack file says."""

import pulumi

from components._frozen import load_frozen
from components._preflight import preflight
from components._stack import declare_ci, declare_endpoint, declare_providers, declare_sites, outputs
from components._stack_bundles import load_bundles
from serving.settings import load_settings

settings = load_settings()
frozen = load_frozen(settings)
bundles = load_bundles(settings)
providers = declare_providers(settings)
preflight(settings, bundles, providers)
ci = declare_ci(settings, frozen)
sites = declare_sites(settings, bundles, providers, ci)
endpoint = declare_endpoint(settings, sites, frozen)

for name, value in outputs(settings, sites, endpoint, ci, frozen).items():
    pulumi.export(name, value)
