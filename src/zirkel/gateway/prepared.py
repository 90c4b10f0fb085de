"""What is derived from one snapshot and kept as long as it is served."""

from collections import OrderedDict

import msgspec

from zirkel.gateway.ports import Unseal
from zirkel.gateway.prompt import CompiledPrompt, compile_prompt
from zirkel.gateway.snapshot import Snapshot, SnapshotRelease, SnapshotTarget, SnapshotUpstream

_MOST_PROMPTS = 256


class Prepared:
    """One snapshot with its compiled prompts and opened credentials; all go when the snapshot goes."""

    def __init__(self, snapshot: Snapshot, unseal: Unseal) -> None:
        self.snapshot = snapshot
        self._unseal = unseal
        self._prompts: OrderedDict[tuple[str, str], CompiledPrompt] = OrderedDict()
        self._credentials: dict[str, str] = {}

    def prompt(self, project_id: str, release: SnapshotRelease) -> CompiledPrompt:
        """Return the compiled prompt of a release. The least recently used is dropped past 256.

        Raises:
            Corrupt: If it does not compile.
        """
        key = (project_id, release.digest)
        found = self._prompts.get(key)
        if found is None:
            found = self._prompts[key] = compile_prompt(release)
            if len(self._prompts) > _MOST_PROMPTS:
                self._prompts.popitem(last=False)
        else:
            self._prompts.move_to_end(key)
        return found

    def credential(self, upstream: SnapshotUpstream) -> str:
        """Return the upstream's credential as text, empty if it needs none. Raises what ``unseal`` raises."""
        if not upstream.credential:
            return ""
        found = self._credentials.get(upstream.credential)
        if found is None:
            found = self._credentials[upstream.credential] = self._unseal(upstream.credential)
        return found


def target_parameters(target: SnapshotTarget) -> dict[str, msgspec.Raw]:
    """Return the parameters of a target by name, each as its original bytes.

    Raises:
        msgspec.DecodeError: If they are not a JSON object.
    """
    return msgspec.json.decode(target.parameters, type=dict[str, msgspec.Raw])
