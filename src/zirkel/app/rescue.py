"""A way in when every admin key is lost: whoever may read the data directory may make one."""

from functools import partial

from zirkel.app.config import Config
from zirkel.app.publish import SnapshotPublisher
from zirkel.app.secrets import key_pepper
from zirkel.core import NotFound, SystemClock
from zirkel.gateway import hash_key
from zirkel.govern import DEFAULT_PROJECT, Access, Vault, open_master_key
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.replaced_blobs import ReplacedBlobs
from zirkel.version import Registry


def make_admin_key(config: Config, project_id: str = DEFAULT_PROJECT) -> str:
    """Return the text of a new admin key of a project; the ledger names the system as its maker.

    Works beside a running core as well as without one.

    Raises:
        NotFound: If the data directory holds no installation, or the installation no such project.
    """
    if not config.master_key_path.is_file():
        raise NotFound(f"{config.data_dir} holds no installation; `zirkel up` makes one and prints its first key")
    clock = SystemClock()
    vault = Vault(open_master_key(config.master_key_path))
    metadata = Metadata.open(config.metadata_url, clock)
    try:
        registry = Registry(metadata, ReplacedBlobs(Blobs.open(config.blobs_url), metadata), clock)
        publisher = SnapshotPublisher(config.snapshot_path, metadata, registry, vault, clock)
        access = Access(metadata, publisher, vault, partial(hash_key, key_pepper(vault)), clock)
        first = access.bootstrap()
        made = first if first and project_id == DEFAULT_PROJECT else access.rescue(project_id)
        return made.text
    finally:
        metadata.close()
