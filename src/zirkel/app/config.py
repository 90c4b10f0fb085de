"""Every setting: name, default, meaning. The only reader of the environment."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from zirkel.core import Invalid

CONFIG_FILE = "zirkel.toml"
PREFIX = "ZIRKEL_"

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Config:
    """The server's settings, from ``zirkel.toml`` in the data directory, then ``ZIRKEL_*`` variables, then options."""

    data_dir: Path = field(default=Path("zirkel-data"), metadata={"help": "Everything Zirkel keeps is in here."})
    host: str = field(default="127.0.0.1", metadata={"help": "Address to listen on; loopback by default."})
    core_port: int = field(default=4040, metadata={"help": "Console, REST and OTLP/HTTP."})
    gateway_port: int = field(default=4000, metadata={"help": "The gateway."})
    otlp_port: int = field(default=4318, metadata={"help": "OTLP/HTTP on its standard port; 0 switches it off."})
    otlp_grpc_port: int = field(default=4317, metadata={"help": "OTLP/gRPC on its standard port; 0 switches it off."})
    gateway_workers: int = field(default=2, metadata={"help": "Gateway processes."})
    experiment_concurrency: int = field(default=4, metadata={"help": "Calls an experiment makes at once."})
    database_url: str = field(default="", metadata={"help": "SQLAlchemy URL; empty is SQLite in the data directory."})
    telemetry_url: str = field(default="", metadata={"help": "ClickHouse URL; empty is embedded."})
    blob_url: str = field(default="", metadata={"help": "fsspec URL; empty is files in the data directory."})
    gateway_file: str = field(
        default="",
        metadata={
            "help": "A gateway.toml that alone configures the default project's gateway; applied whenever it changes."
        },
    )

    @property
    def metadata_url(self) -> str:
        """The metadata database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve()}/metadata.sqlite"

    @property
    def jobs_url(self) -> str:
        """The job engine's database."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve()}/jobs.sqlite"

    @property
    def blobs_url(self) -> str:
        """Where blobs are kept."""
        return self.blob_url or f"file://{self.data_dir.resolve()}/blobs"

    @property
    def host_in_url(self) -> str:
        """The host as an address names it: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def snapshot_path(self) -> Path:
        """The file the gateway serves from."""
        return self.data_dir / "snapshot.json"

    @property
    def spool_path(self) -> Path:
        """The spool's folder."""
        return self.data_dir / "spool"

    @property
    def set_aside_path(self) -> Path:
        """Where records are kept that cannot be stored."""
        return self.data_dir / "set-aside"

    @property
    def alarm_path(self) -> Path:
        """Where the core leaves its alarms for the doctor."""
        return self.data_dir / "alarms.json"

    @property
    def limits_path(self) -> Path:
        """The gateway's counters and open attempts."""
        return self.data_dir / "limits"

    @property
    def answers_path(self) -> Path:
        """The gateway's kept answers."""
        return self.data_dir / "answers"

    @property
    def judge_answers_path(self) -> Path:
        """The kept answers of judges."""
        return self.data_dir / "judge-answers"

    @property
    def metrics_path(self) -> Path:
        """Where gateway workers leave their figures."""
        return self.data_dir / "metrics"

    @property
    def master_key_path(self) -> Path:
        """The master key's file."""
        return self.data_dir / "secrets" / "master.key"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Where the command line finds its server."""

    url: str = field(default="http://127.0.0.1:4040", metadata={"help": "The core's address, for the command line."})
    api_key: str = field(default="", metadata={"help": "The key the command line sends."})


def load_config(environment: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None) -> Config:
    """Return the server's settings.

    Args:
        environment: Variables to read; the process's own if None.
        overrides: Command-line options by field name; None values are left out.

    Raises:
        Invalid: If a setting is unknown or malformed, with its name and where it was set.
    """
    variables = os.environ if environment is None else environment  # noqa: TID251 (the one place)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    from_environment = _read_environment(Config, variables)
    data_dir = Path(str(given.get("data_dir") or from_environment.get("data_dir") or Config().data_dir))
    values = _read_file(data_dir / CONFIG_FILE) | from_environment | given | {"data_dir": data_dir}
    config = _convert(Config, values)
    for name in ("core_port", "gateway_port", "otlp_port", "otlp_grpc_port"):
        if not 0 <= getattr(config, name) <= 65535:
            raise Invalid(f"{name} {getattr(config, name)} is not a port", path=name)
    for name in ("gateway_workers", "experiment_concurrency"):
        if getattr(config, name) < 1:
            raise Invalid(f"{name} {getattr(config, name)} must be at least 1", path=name)
    return config


def load_client_config(environment: Mapping[str, str] | None = None) -> ClientConfig:
    """Return where the command line finds its server, from ``ZIRKEL_URL`` and ``ZIRKEL_API_KEY``."""
    variables = os.environ if environment is None else environment  # noqa: TID251 (the one place)
    return _convert(ClientConfig, _read_environment(ClientConfig, variables, ignore_unknown=True))


def read_variable(name: str) -> str:
    """Return an environment variable that the user named in an option, empty if it is not set."""
    return os.environ.get(name, "")  # noqa: TID251 (the one place)


def clean_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a command of ours: this one's without Zirkel's settings, but with ``changes``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}  # noqa: TID251 (as above)
    return {**kept, **changes}


def process_environment(config: Config) -> dict[str, str]:
    """Return the environment for a process of ours: this one's, with ``config`` spelt out."""
    settings = {f"{PREFIX}{name.upper()}": str(value) for name, value in dataclasses.asdict(config).items()}
    return {**os.environ, **settings}  # noqa: TID251 (the one place)


def _read_environment(
    kind: type[Config] | type[ClientConfig], variables: Mapping[str, str], *, ignore_unknown: bool = False
) -> dict[str, object]:
    names = {setting.name for setting in dataclasses.fields(kind)}
    others = {setting.name for other in (Config, ClientConfig) for setting in dataclasses.fields(other)}
    found: dict[str, object] = {}
    for variable, value in variables.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or variable.startswith(f"{PREFIX}TEST_"):
            continue
        if name in names:
            found[name] = value
        elif name not in others and not ignore_unknown:
            raise Invalid(f"{variable} is not a setting; see: zirkel config check", path=variable)
    return found


def _read_file(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        values: dict[str, object] = msgspec.toml.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: {error}", path=str(path)) from error
    unknown = set(values) - {setting.name for setting in dataclasses.fields(Config)}
    if unknown:
        raise Invalid(f"{path}: {min(unknown)!r} is not a setting", path=str(path))
    return values


def _convert(kind: type[C], values: Mapping[str, object]) -> C:
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    try:
        return msgspec.convert(plain, kind, strict=False, dec_hook=_decode_path)
    except msgspec.ValidationError as error:
        raise Invalid(f"settings: {error}") from error


def _decode_path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(f"a setting cannot be a {kind.__name__}")
