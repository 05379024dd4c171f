"""What is shipped to look at metrics with uses metrics and labels that exist."""

import json
import re
from pathlib import Path

import pytest

import flowfast
from flowfast.metrics import Metrics, State

PACKAGING = Path(__file__).parents[2] / "packaging"
DASHBOARD = json.loads((PACKAGING / "grafana/flowfast.json").read_text())
RULES = [
    re.match(
        r"(?P<alert>\w+)\n +expr: (?:>-)?(?P<expr>.*?)\n +"
        r"(?:for: \w+\n +)?labels: \{severity: (?P<severity>\w+)\}\n +annotations:\n +summary: (?P<summary>.*)",
        block,
        re.DOTALL,
    ).groupdict()
    for block in re.split(r"\n +- alert: ", (PACKAGING / "prometheus/flowfast.rules.yml").read_text())[1:]
]
"""The alerts: flat enough to be read without a parser of YAML."""
SUFFIXES = {"counter": ("_total",), "summary": ("_sum", "_count"), "gauge": ("",)}
OF_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus adds."""


@pytest.fixture(scope="module")
def labels():
    """Labels by name of sample."""
    families = Metrics(lambda: State(stats=flowfast.Decoder().stats())).collect()
    return {family.name + suffix: set(family._labelnames) for family in families for suffix in SUFFIXES[family.type]}


def expressions():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"], re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
    for rule in RULES:
        yield rule["alert"], rule["expr"], re.findall(r"\$labels\.(\w+)", rule["summary"])


CASES = list(expressions())


@pytest.mark.parametrize(("expression", "shown"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_metrics_and_labels_exist(expression, shown, labels):
    names = set(re.findall(r"\b(?:flowfast|process)_\w+", expression))
    assert names
    assert names <= set(labels)
    known = set.union(*(labels[name] for name in names)) | OF_PROMETHEUS
    assert set(shown) <= known
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=|!)", matchers)) <= known
    for clause in re.findall(r"(?:by|ignoring|on) \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", clause)) <= known
    assert expression.count("(") == expression.count(")")


def test_panels_do_not_overlap_and_are_numbered():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_every_alert_says_what_it_means():
    for rule in RULES:
        assert re.fullmatch(r"Flowfast[A-Z]\w+", rule["alert"])
        assert rule["severity"] in ("critical", "warning")
        assert rule["summary"].strip().strip('"').endswith(".")
