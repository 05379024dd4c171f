import re

from prometheus_client.parser import text_string_to_metric_families
from support import IPFIX_TEMPLATE, ipfix_data, lose, netflow5

import flowfast
from flowfast import metrics
from flowfast.counters import COUNTERS
from flowfast.metrics import Metrics, State
from flowfast.pipeline import SinkRunner
from flowfast.sinks import Account
from flowfast.sinks.null import NullSink


def samples(state, family=None):
    """Values by sample name and labels."""
    page = Metrics(lambda: state).render()[0].decode()
    families = text_string_to_metric_families(page)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for each in families
        if family in (None, each.name)
        for sample in each.samples
    }


def series(*by_exporter, by_domain=(), unknown_elements=()):
    return {
        "exporters": len(by_exporter),
        "by_exporter": by_exporter,
        "by_domain": by_domain,
        "unknown_elements": unknown_elements,
    }


def exporter(address, records, **more):
    known = {"exporter": address, "format": "ipfix", "datagrams": 1, "records": records, "templates": 1}
    return known | {"clock_ahead_ms": None, "clock_told_ns": None} | more


def test_the_core_s_counters_are_metrics_and_add_up():
    decoder = flowfast.Decoder()
    for datagram in (netflow5(30), IPFIX_TEMPLATE, ipfix_data(5), ipfix_data(7, template=999), b"\0\5", b"nonsense, no flow export"):
        decoder.decode(datagram, "192.0.2.1")
    decoder.flush()
    found = samples(State(stats=decoder.stats()))
    assert found[("flowfast_datagrams_received_total",)] == 6
    assert found[("flowfast_records_decoded_total",)] == 35
    assert found[("flowfast_waiting_for_template_sets",)] == 1
    discarded = sum(value for key, value in found.items() if key[0] == "flowfast_datagrams_discarded_total")
    assert found[("flowfast_datagrams_received_total",)] == found[("flowfast_datagrams_decoded_total",)] + discarded
    assert discarded == 2


def test_every_counter_of_a_collector_has_a_family():
    names = {family.name for family in Metrics(State).collect()}
    for name in set(COUNTERS) - {"workers", "packets_read", "packets_skipped"}:
        assert f"flowfast_{metrics._RENAMED.get(name, name)}" in names


def test_names_are_prometheus_names():
    for family in Metrics(State).collect():
        if not family.name.startswith("process_"):
            assert re.fullmatch(r"flowfast_[a-z0-9_]+", family.name)
            assert family.documentation.endswith(".")
            assert not family.name.endswith("_total")


def test_what_a_target_got():
    account = Account("parquet:/x", records_handed=70, records_dropped=7, records_written=60)
    lose(account, 30, OSError(28, "No space left on device"))
    found = samples(State(runners=[SinkRunner(NullSink(account), account)]))
    sink = ("sink", "parquet:/x")
    assert found[("flowfast_sink_rows_total", sink)] == 60
    assert found[("flowfast_sink_rows_failed_total", ("reason", "no_space"), sink)] == 30
    assert found[("flowfast_sink_rows_in_flight", sink)] == 10
    assert found[("flowfast_sink_rows_handed_total", sink)] == 100
    assert found[("flowfast_sink_failing", sink)] == 1
    assert found[("flowfast_queue_dropped_total", ("stage", "sink parquet:/x"))] == 7


def test_what_exporters_sent():
    domain = {"exporter": "192.0.2.1", "domain": 1, "lost_unit": "records"}
    known = series(
        exporter("192.0.2.1", 35, templates=2, clock_ahead_ms=-250, clock_told_ns=1),
        exporter("192.0.2.1", 30, format="netflow_v5", clock_ahead_ms=70, clock_told_ns=2),
        by_domain=[domain | {"lost": 3}, domain | {"lost": 4}, domain | {"lost_unit": "none", "lost": 0}],
        unknown_elements=[(9, 32001, 2)],
    )
    found = samples(State(series=known | {"exporters": 50}))
    ours = ("exporter", "192.0.2.1")
    assert found[("flowfast_exporter_flows_total", ours, ("version", "ipfix"))] == 35
    assert found[("flowfast_exporter_flows_total", ours, ("version", "netflow_v5"))] == 30
    assert found[("flowfast_sequence_lost_total", ours, ("obs_domain_id", "1"), ("unit", "records"))] == 7
    assert found[("flowfast_templates", ours)] == 3
    assert found[("flowfast_export_delay_seconds", ours)] == -0.07, "as the latest message has it"
    assert found[("flowfast_unknown_elements", ("id", "32001"), ("pen", "9"))] == 2
    assert (found[("flowfast_exporters",)], found[("flowfast_exporters_without_series",)]) == (50, 49)


def test_octets_and_errors_by_exporter():
    def account(address, form, **counters):
        return {"exporter": address, "format": form, "domain": 0, "counters": counters}

    accounts = [
        account("192.0.2.1", "ipfix", octets_received=500, datagrams_discarded={"set_overrun": 2, "rate_limited": 9}),
        account("192.0.2.1", None, octets_received=30, datagrams_discarded={"unknown_version": 3}),
        account("192.0.2.9", None, octets_received=7, datagrams_discarded={"unknown_version": 1}),
        account(None, None, octets_received=8, datagrams_discarded={"truncated_receive": 1}),
    ]
    found = samples(State(series=series(exporter("192.0.2.1", 10)), accounts=accounts))
    octets = {key[1:]: value for key, value in found.items() if key[0] == "flowfast_exporter_bytes_total"}
    assert octets == {
        (("exporter", "192.0.2.1"), ("version", "ipfix")): 500,
        (("exporter", "192.0.2.1"), ("version", "")): 30,
        (("exporter", ""), ("version", "")): 15,
    }
    errors = {key[1:]: value for key, value in found.items() if key[0] == "flowfast_decode_errors_total"}
    assert errors == {
        (("error", "set_overrun"), ("exporter", "192.0.2.1")): 2,
        (("error", "unknown_version"), ("exporter", "192.0.2.1")): 3,
        (("error", "unknown_version"), ("exporter", "")): 1,
        (("error", "truncated_receive"), ("exporter", "")): 1,
    }


def test_openmetrics_on_request():
    page, content_type = Metrics(State).render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")
