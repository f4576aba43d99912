"""The graphs of the stacks, reviewed as plans: every resource's type, name, parent, provider, protection and inputs."""

from __future__ import annotations

import pytest

from tests.components.test_program import STACKS, program, settings_of

__all__ = ["program"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stacks_graph_is_as_reviewed(program, golden, stack):
    golden(f"stack_{stack}", program(settings_of(stack)))
