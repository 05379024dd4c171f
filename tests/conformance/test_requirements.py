"""Every MUST of the formats is named by a test that proves it, or stands in the table as open, with the reason."""

import csv

import pytest
from requirements import citations, table

from oracle.capture import TESTS

SHARED = TESTS.parents[1] / "shared" / "spec" / "requirements.csv"


def test_every_must_is_proven_or_open() -> None:
    cited = citations()
    uncovered = [f"{row.id} {row.text}" for row in table() if row.must_be_proven and row.id not in cited and not row.open]
    assert uncovered == [], "name them in the test that proves them, or say in tests/requirements.csv why they are open"


def test_what_is_open_is_not_proven() -> None:
    cited = citations()
    proven = [row.id for row in table() if row.open and not row.open.startswith("in part: ") and row.id in cited]
    assert proven == [], "tests name them: clear `open` in tests/requirements.csv, or begin it with `in part: `"


def test_tests_name_requirements_that_exist() -> None:
    known = {row.id for row in table()}
    assert {requirement: tests for requirement, tests in citations().items() if requirement not in known} == {}


def test_the_table_is_that_of_the_specification() -> None:
    if not SHARED.exists():
        pytest.skip("the specification is not beside this repository (../shared/spec)")
    with SHARED.open(newline="") as file:
        rows = [(row["id"], row["level"], row["spec_section"], row["text"]) for row in csv.DictReader(file)]
    assert [(row.id, row.level, row.section, row.text) for row in table()] == rows


def test_tests_of_both_languages_are_found() -> None:
    """Or the tests above would pass on nothing."""
    named = citations()["FF-IX-03"]
    assert {"tests/conformance/test_ipfix.py::test_a_malformed_message_leaves_nothing"} < set(named)
    assert {"rust/flowfast-decode/tests/hostile.rs::a_malformed_message_leaves_nothing_behind_unless_lenient"} < set(named)
