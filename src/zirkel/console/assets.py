"""Style sheet, script and logo, each under an address that changes with its content."""

from dataclasses import dataclass
from importlib.resources import files

from zirkel.core import NotFound, sha256_hex

MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file."""

    content: bytes
    media_type: str


class Assets:
    """The files of ``console/static``, read once; nothing else can be asked for."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._by_served_name: dict[str, Asset] = {}
        for file in sorted(files("zirkel.console").joinpath("static").iterdir(), key=lambda found: found.name):
            stem, _, extension = file.name.rpartition(".")
            if extension not in MEDIA_TYPES:
                continue
            content = file.read_bytes()
            served = f"{stem}.{sha256_hex(content)[:12]}.{extension}"
            self._urls[file.name] = f"/static/{served}"
            self._by_served_name[served] = Asset(content, MEDIA_TYPES[extension])

    def url(self, name: str) -> str:
        """Return the address of a file, e.g. ``/static/console.0123456789ab.css``.

        Raises:
            KeyError: If there is no such file.
        """
        return self._urls[name]

    def get(self, served_name: str) -> Asset:
        """Return what is served under the last part of an address.

        Raises:
            NotFound: If there is no such file, or not any more.
        """
        asset = self._by_served_name.get(served_name)
        if asset is None:
            raise NotFound(f"there is no static file {served_name!r}")
        return asset
