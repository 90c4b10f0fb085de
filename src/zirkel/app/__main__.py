"""``python -m zirkel.app``: the command line."""

from zirkel.app.cli import main

main()
