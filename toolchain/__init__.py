"""The programs around Tricorn, at pinned versions: found on PATH where they fit, else built once from Go modules."""

from toolchain.cache import ToolchainError, cert_manager_crds, find, gateway_crds, tools_dir

__all__ = ["ToolchainError", "cert_manager_crds", "find", "gateway_crds", "tools_dir"]
