"""The policy pack reads inputs by name: each name it knows exists in the installed SDKs, at every depth."""

from __future__ import annotations

import pytest

from tests.conformance.test_sdk_inputs import input_class, problems
from tests.unit.policy import policy_cases_aws, policy_cases_azure, policy_cases_gcp
from tests.unit.policy.policy_cases import REMOVED, Case, changed

CASES = (*policy_cases_aws.CASES, *policy_cases_gcp.CASES, *policy_cases_azure.CASES)


def invented(case: Case, props: dict) -> list[str]:
    found = problems(input_class(case.type), props, case.type)
    return [line for line in found if not line.endswith(" is required")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.type.rpartition(':')[2]}")
def test_every_input_that_a_check_reads_exists_in_the_sdk(case):
    assert invented(case, case.good) == []
    for path, value in [*((bad.path, bad.value) for bad in case.bad), *case.also_good]:
        if value is not REMOVED:
            assert invented(case, changed(case.good, path, value)) == [], path
