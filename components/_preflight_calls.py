"""Asking clouds many questions at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import invoke_async

from components._preflight_report import SiteNeeds, one_line


@dataclass(frozen=True)
class Question:
    """One call of a provider function.

    Called by its token: a failure of the functions `get_..._output` ends the program even when it is caught, and the
    plain functions wait for one another.
    """

    site: SiteNeeds
    """Whose provider is asked."""
    token: str
    arguments: Mapping[str, Any]
    """Arguments by their names in the token's schema (camelCase)."""
    result: type
    """The SDK's class of the result."""


@dataclass(frozen=True)
class Unanswered:
    """A question that the cloud did not answer, and why."""

    reason: str


async def ask_all(questions: Mapping[Any, Question]) -> dict[Any, Any]:
    """Call provider functions at the same time; a call that fails gives `Unanswered`."""
    answers = await asyncio.gather(*(_answer(question) for question in questions.values()))
    return dict(zip(questions, answers, strict=True))


async def _answer(question: Question) -> Any:
    try:
        answer = await invoke_async(
            question.token,
            dict(question.arguments),
            pulumi.InvokeOptions(provider=question.site.provider),
            question.result,
        )
    except Exception as error:  # the SDK has no narrower class for a call that was refused
        return Unanswered(one_line(error))
    return Unanswered("the provider's own settings are not known yet") if answer is None else answer
