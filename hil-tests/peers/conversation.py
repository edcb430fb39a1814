"""How the peers talk to the tests: one JSON object a line, a question on stdin, its answer on stdout.

A question is {"do": NAME, ...}; it is answered by what the handler NAME returns, or by {"error": TEXT}. The peer ends
when its stdin does, so that it never outlives the test.
"""

import asyncio
import inspect
import json
import sys


def say(answer):
    """Writes one line."""
    print(json.dumps(answer), flush=True)


async def converse(handlers):
    """Answers questions until there are no more."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        question = json.loads(line)
        try:
            answer = handlers[question.pop("do")](**question)
            say(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:  # the test decides whether it was meant to fail
            say({"error": f"{type(error).__name__}: {error}"})
