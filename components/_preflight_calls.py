"""Asking clouds many questions at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi

from components._preflight_report import one_line

Questions = dict[Any, Callable[[], pulumi.Output[Any]]]
"""By any key, a function that starts a call (`get_..._output`) and returns its result."""


@dataclass(frozen=True)
class Unanswered:
    """A question that the cloud did not answer, and why."""

    reason: str


async def ask_all(questions: Questions) -> dict[Any, Any]:
    """Call provider functions at the same time; a call that fails gives `Unanswered`."""
    answers = await asyncio.gather(*(_answer(call) for call in questions.values()))
    return dict(zip(questions, answers, strict=True))


async def _answer(call: Callable[[], pulumi.Output[Any]]) -> Any:
    try:
        answer = await call().future()
    except Exception as error:  # the SDK has no narrower class for a call that was refused
        return Unanswered(one_line(error))
    return Unanswered("the answer is not known in a preview") if answer is None else answer
