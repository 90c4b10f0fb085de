"""``projects``."""

import typer

from zirkel.app.cli.output import AsJson, connect, err, print_json, say

projects_app = typer.Typer(help="Projects: tenants with data, keys and people of their own.", no_args_is_help=True)


@projects_app.command("create")
def create_project(name: str, as_json: AsJson = False) -> None:
    """Make a project. Its first admin key is printed once and kept nowhere; only the default project's admins may."""
    with connect() as client:
        made = client.post("/api/v1/projects", {"name": name})
    if as_json:
        print_json(made)
        return
    err.print(f"project {made['project_id']}; its first admin key:", markup=False)
    say(str(made["key"]))


@projects_app.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """List projects by id; only the default project's admins may."""
    with connect() as client:
        rows = client.get_list("/api/v1/projects")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['project_id']:<24} {row['name']}")
