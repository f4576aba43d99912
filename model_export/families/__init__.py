"""One module per model family; each defines `FAMILY`, a `model_export.registry.Family`."""
