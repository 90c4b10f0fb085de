"""Asking a system until it answers, or it is clear that it does not."""

from zirkel.evaluate.pace import Pace, Sleep
from zirkel.evaluate.ports import Answer, Question, SystemUnderTest

ATTEMPTS = 3
"""Calls for one answer before it is noted as errored."""
MOST_PAUSES = 20
"""Times that a system may put one question off; these are no attempts."""
LONGEST_PAUSE_S = 120.0
"""A system that wants a longer pause is taken at its word: the answer is errored, for another day."""


class Asker:
    """Asks at a pace, and again where that may help."""

    def __init__(self, system: SystemUnderTest, pace: Pace, sleep: Sleep) -> None:
        self._system = system
        self._pace = pace
        self._sleep = sleep

    async def ask(self, question: Question) -> Answer:
        """Return the answer, or the last error."""
        attempts = pauses = 0
        while True:
            await self._pace.turn()
            answer = await self._system.ask(question)
            self._pace.spend((answer.input_tokens or 0) + (answer.output_tokens or 0))
            if not answer.error or not answer.is_retryable:
                return answer
            if answer.retry_after_s is not None and pauses < MOST_PAUSES:
                if answer.retry_after_s > LONGEST_PAUSE_S:
                    return answer
                pauses += 1
                # The limit is the system's, not this question's: nobody asks meanwhile.
                self._pace.hold(answer.retry_after_s)
                continue
            attempts += 1
            if attempts == ATTEMPTS:
                return answer
            await self._sleep(0.5 * 2**attempts)
