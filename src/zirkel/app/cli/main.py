"""``zirkel``: the commands, and errors as exit codes."""

import sys

import typer

from zirkel import __version__
from zirkel.app.cli.access import keys_app, people_app, projects_app, upstreams_app
from zirkel.app.cli.costs import costs
from zirkel.app.cli.dataset import dataset_app
from zirkel.app.cli.datasets import collect
from zirkel.app.cli.evaluate import evaluate
from zirkel.app.cli.evaluators import evaluators
from zirkel.app.cli.evidence import evidence_app
from zirkel.app.cli.gate import compare, gate
from zirkel.app.cli.gateway import gateway_app, import_app, prices_app
from zirkel.app.cli.imports import import_inspect, import_promptfoo
from zirkel.app.cli.label import calibration, label, labels_app
from zirkel.app.cli.limits import limits
from zirkel.app.cli.observe import status
from zirkel.app.cli.output import EXIT_CHECK_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, err
from zirkel.app.cli.plan import plan
from zirkel.app.cli.privacy import erase, erasures, privacy_app
from zirkel.app.cli.scores import scores_app
from zirkel.app.cli.search import aggregate, export, sessions, spans, sql, traces, users
from zirkel.app.cli.server import config_app, demo, doctor, up
from zirkel.app.cli.ship import promote, rollback, ship
from zirkel.app.cli.version import lock, push, releases, verify
from zirkel.client import Unreachable
from zirkel.core import Conflict, Corrupt, Held, Incompatible, Overloaded, Refused, ZirkelError

CHECK_FAILED = (Refused, Conflict, Corrupt, Incompatible, Held, Overloaded)


def _build() -> typer.Typer:
    built = typer.Typer(
        name="zirkel",
        help="AI in production, measurable, repeatable and auditable.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for command in (
        up,
        demo,
        doctor,
        push,
        lock,
        verify,
        releases,
        evaluators,
        plan,
        compare,
        label,
        calibration,
        gate,
        ship,
        promote,
        rollback,
        status,
        limits,
        traces,
        spans,
        sessions,
        users,
        aggregate,
        sql,
        export,
        collect,
        costs,
        erase,
        erasures,
    ):
        built.command()(command)
    built.command("eval")(evaluate)
    built.add_typer(dataset_app, name="dataset")
    built.add_typer(labels_app, name="labels")
    built.add_typer(scores_app, name="scores")
    built.add_typer(privacy_app, name="privacy")
    built.add_typer(keys_app, name="keys")
    built.add_typer(projects_app, name="projects")
    built.add_typer(people_app, name="people")
    built.add_typer(upstreams_app, name="upstreams")
    built.add_typer(gateway_app, name="gateway")
    built.add_typer(prices_app, name="prices")
    import_app.command("promptfoo")(import_promptfoo)
    import_app.command("inspect")(import_inspect)
    built.add_typer(import_app, name="import")
    built.add_typer(evidence_app, name="evidence")
    built.add_typer(config_app, name="config")
    built.command("version")(_version)
    return built


def _version() -> None:
    """Print the program's version."""
    sys.stdout.write(f"zirkel {__version__}\n")


app = _build()


def main() -> None:
    """Run a command; the exit code is 0 good, 1 the check failed, 2 wrong usage, 3 inconclusive, 4 unreachable."""
    try:
        app()
    except ZirkelError as error:
        err.print(f"zirkel: {error}", markup=False)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)


def exit_code(error: ZirkelError) -> int:
    """Return the exit code that an error kind ends a command with."""
    if isinstance(error, Unreachable):
        return EXIT_UNREACHABLE
    return EXIT_CHECK_FAILED if isinstance(error, CHECK_FAILED) else EXIT_USAGE
