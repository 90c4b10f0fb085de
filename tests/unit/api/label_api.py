"""The routes of labels over real services on SQLite; releases and data sets are values in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from fastapi import FastAPI

from tests.unit.evaluate.label_world import PROJECT, LabelWorld, coin, helpful
from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import labels_router
from zirkel.api.services import Services
from zirkel.core import ManualClock, Principal, Role
from zirkel.evaluate import Labelling
from zirkel.gateway import hash_key
from zirkel.govern import Access, Vault
from zirkel.store.metadata import Metadata


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@dataclass(frozen=True)
class LabelServices:
    """The services these routes use."""

    access: Access
    labelling: Labelling


@dataclass(frozen=True)
class LabelApi:
    """An application, and keys for it."""

    app: FastAPI
    world: LabelWorld
    access: Access

    def key(self, name: str, *roles: Role) -> str:
        """Return the text of a new key."""
        admin = Principal(PROJECT, "k0", "admin", frozenset({Role.ADMIN}))
        return self.access.create_key(admin, name, frozenset(roles or {Role.LABEL})).text


@contextmanager
def open_label_api(folder: Path, items: int = 12) -> Iterator[LabelApi]:
    """Give an application whose service has a judged experiment."""
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{folder}/metadata.sqlite", clock)
    world = LabelWorld(metadata, clock)
    world.evaluator()
    world.dataset(items)
    world.experiment("cand", lambda item, _: helpful(coin(item, 0.5)))
    access = Access(metadata, Silent(), Vault(b"m" * 32), partial(hash_key, b"pepper"), clock)
    labelling = Labelling(world.queue, world.labels, world.transfer, world.calibration)
    services = cast(Services, LabelServices(access, labelling))
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(labels_router(services, guarded_principal))
    yield LabelApi(app, world, access)
    metadata.close()
