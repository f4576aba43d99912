"""The `kubernetes` Pulumi provider of the local clouds: server-side apply to their real API servers."""
