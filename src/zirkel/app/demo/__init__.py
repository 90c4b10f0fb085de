"""The main job, end to end, on a real model: what ``make demo`` runs."""

from zirkel.app.demo.run import run_demo
from zirkel.app.demo.setting import DemoOptions

__all__ = ["DemoOptions", "run_demo"]
