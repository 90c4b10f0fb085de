"""Which subkey of the installation is for what, where several processes must agree."""

from zirkel.govern.vault import Vault


def key_pepper(vault: Vault) -> bytes:
    """Return what API keys are hashed under."""
    return vault.subkey("api key pepper")


def internal_key(vault: Vault, project_id: str) -> str:
    """Return the key with which Zirkel's own experiments call the gateway; derived, never stored."""
    return "zk_internal_" + vault.subkey(f"internal gateway key {project_id}").hex()
