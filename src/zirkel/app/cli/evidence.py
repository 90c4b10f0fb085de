"""``evidence export`` and ``evidence verify``."""

from pathlib import Path
from typing import Annotated

import typer

from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, connect, leave, print_json, say
from zirkel.core import Invalid, NotFound, Verification, decode_pack, verify_pack

evidence_app = typer.Typer(help="The hash-chained ledger.", no_args_is_help=True)


@evidence_app.command("export")
def export(path: Path) -> None:
    """Write the whole ledger, signed, as a pack that anybody can check offline."""
    with connect() as client:
        data = client.evidence_pack()
    path.write_bytes(data)
    say(f"{path} written; check it with: zirkel evidence verify {path}")


@evidence_app.command("verify")
def verify(
    pack: Annotated[Path | None, typer.Argument(help="A pack; without one, the server's ledger is fetched.")] = None,
    public_key: Annotated[str, typer.Option(help="The key that must have signed, as hex.")] = "",
    as_json: AsJson = False,
) -> None:
    """Recompute the chain; exit 1 and name the first broken entry if it does not hold. Needs no server for a pack."""
    found = _verify(_read(pack), public_key)
    if as_json:
        print_json(
            {
                "entries": found.entries,
                "problem": found.problem,
                "signed_up_to": found.signed_up_to,
                "is_signature_checked": found.is_signature_checked,
                "public_key": found.public_key,
            }
        )
    elif found.problem:
        say(f"broken: {found.problem}")
    else:
        signature = "signatures hold" if found.is_signature_checked else "signatures were not checked here"
        say(f"the chain of {found.entries} entries holds; signed up to entry {found.signed_up_to}, {signature}")
        if found.public_key:
            say(f"signed with the key {found.public_key}; hold it against the one you know with --public-key")
    if found.problem:
        leave(EXIT_CHECK_FAILED)


def _read(pack: Path | None) -> bytes:
    if pack is None:
        with connect() as client:
            return client.evidence_pack()
    if not pack.is_file():
        raise NotFound(f"{pack} does not exist; write one with: zirkel evidence export {pack}")
    return pack.read_bytes()


def _verify(data: bytes, public_key: str) -> Verification:
    try:
        return verify_pack(decode_pack(data), public_key)
    except Invalid as error:
        # A pack that cannot be read is a broken pack, not a wrong command.
        return Verification(entries=0, problem=str(error))
