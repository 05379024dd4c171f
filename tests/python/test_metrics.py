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


def exporter(address, records, domain=0, **more):
    known = {"exporter": address, "format": "ipfix", "domain": domain, "datagrams": 1, "records": records, "lost": 0}
    return known | {"lost_unit": "records", "templates": 1, "last_seen_ns": 0, "clock_ahead_ms": None, "unknown_elements": []} | more


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


def test_domains_workers_and_sessions_of_one_exporter_are_summed():
    known = [exporter("192.0.2.1", 10, 1, lost=3), exporter("192.0.2.1", 20, 2), exporter("192.0.2.1", 5, 1, lost=4)]
    found = samples(State(exporters=known))
    assert found[("flowfast_exporter_flows_total", ("exporter", "192.0.2.1"), ("version", "ipfix"))] == 35
    assert found[("flowfast_sequence_lost_total", ("exporter", "192.0.2.1"), ("obs_domain_id", "1"), ("unit", "records"))] == 7
    assert found[("flowfast_templates", ("exporter", "192.0.2.1"))] == 3


def test_octets_and_errors_by_exporter():
    def account(address, form, **counters):
        return {"exporter": address, "format": form, "domain": 0, "counters": counters}

    accounts = [
        account("192.0.2.1", "ipfix", octets_received=500, datagrams_discarded={"set_overrun": 2, "rate_limited": 9}),
        account("192.0.2.1", None, octets_received=30, datagrams_discarded={"unknown_version": 3}),
        account("192.0.2.9", None, octets_received=7, datagrams_discarded={"unknown_version": 1}),
        account(None, None, octets_received=8, datagrams_discarded={"truncated_receive": 1}),
    ]
    found = samples(State(exporters=[exporter("192.0.2.1", 10)], accounts=accounts))
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


def test_strangers_cannot_make_labels_without_a_bound():
    flood = [exporter(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1, n) for n in range(50_000)]
    domains = [exporter("192.0.2.1", 1_000_000, n) for n in range(50_000)]
    page = Metrics(lambda: State(exporters=flood + domains)).render()[0].decode()
    assert page.count("flowfast_exporter_flows_total{") == metrics.MAX_EXPORTERS
    assert page.count("flowfast_sequence_lost_total{") == metrics.MAX_DOMAINS
    assert 'flowfast_exporter_flows_total{exporter="192.0.2.1"' in page
    assert f"flowfast_exporters_without_series {50_001 - metrics.MAX_EXPORTERS}.0" in page


def test_a_series_stays_with_its_exporter(monkeypatch):
    monkeypatch.setattr(metrics, "MAX_EXPORTERS", 2)
    known = [exporter("192.0.2.1", 10), exporter("192.0.2.2", 20), exporter("192.0.2.3", 5)]
    state = [State(exporters=known)]
    its = Metrics(lambda: state[0])
    shown = lambda: set(re.findall(r'flowfast_exporter_flows_total\{exporter="([^"]*)"', its.render()[0].decode()))  # noqa: E731
    assert shown() == {"192.0.2.1", "192.0.2.2"}
    state[0] = State(exporters=[*known[:2], exporter("192.0.2.3", 5000)])
    assert shown() == {"192.0.2.1", "192.0.2.2"}
    state[0] = State(exporters=[known[1], exporter("192.0.2.3", 5000)])
    assert shown() == {"192.0.2.2", "192.0.2.3"}


def test_openmetrics_on_request():
    page, content_type = Metrics(State).render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")
