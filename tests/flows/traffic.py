"""Traffic that goes on while a test kills something."""

import itertools
import threading
from types import TracebackType

import openai

from tests.flows.harness import Answered, Stack, ask, ask_streamed


class Traffic:
    """Threads that ask a service with the unmodified OpenAI SDK, plain and streamed in turn, until the block ends."""

    def __init__(self, stack: Stack, service: str, *, threads: int = 2, max_retries: int = 0) -> None:
        self.answers: list[Answered] = []
        """Answers that arrived whole."""
        self.failures: list[str] = []
        """Requests that the SDK gave up."""
        self._stack = stack
        self._service = service
        self._max_retries = max_retries
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(f"caller-{n}",)) for n in range(threads)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def has_answers_beyond(self, count: int) -> bool:
        """Return whether more than ``count`` answers have arrived."""
        return len(self.answers) > count

    @property
    def trace_ids(self) -> list[str]:
        """The trace of each answer."""
        return [answer.trace_id for answer in self.answers]

    def _ask_on(self, caller: str) -> None:
        with self._stack.sdk(max_retries=self._max_retries) as sdk:
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                unit = f"{caller}-{number}"
                try:
                    if number % 2:
                        answer, _ = ask_streamed(sdk, self._service, unit)
                    else:
                        answer = ask(sdk, self._service, unit)
                    self.answers.append(answer)
                except openai.OpenAIError as error:
                    self.failures.append(f"{unit}: {type(error).__name__}: {error}")
