"""People's labels as faces see them: the queue, what raters say, its way in and out, and what it says of judges."""

from dataclasses import dataclass

from zirkel.evaluate.calibration import Calibration
from zirkel.evaluate.label_queue import LabelQueue
from zirkel.evaluate.labels import Labels
from zirkel.evaluate.labels_transfer import LabelTransfer


@dataclass(frozen=True, slots=True)
class Labelling:
    """The services around labels."""

    queue: LabelQueue
    labels: Labels
    transfer: LabelTransfer
    calibration: Calibration
