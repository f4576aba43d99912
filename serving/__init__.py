"""What runs in a cluster, how requests reach it, and the client: no cloud SDK, no components.

`settings` reads the stack's configuration and `bundles` the model bundles; `manifests`, `model_config` and
`routes` are pure functions that return Kubernetes objects as dicts; `client` and `python -m serving` send
predictions.
"""
