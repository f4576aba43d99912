"""The command that previews and deploys a stack: Pulumi with the policy pack and with what is frozen left out."""
