//! Counters and Exporters as dictionaries.

use flowfast_collector::{Counters, Series};
use flowfast_decode::{AccountSummary, ExporterReport, ExporterSummary, SampleTotals};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

/// By name: a number, or for families a dictionary of numbers by label.
pub(crate) fn counters_dict<'py>(
    py: Python<'py>,
    counters: &Counters,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for counter in counters.iter() {
        set_counter(&dict, counter.name, counter.label, counter.value)?;
    }
    Ok(dict)
}

fn set_counter<'py>(
    dict: &Bound<'py, PyDict>,
    name: &str,
    label: Option<&str>,
    value: impl IntoPyObject<'py>,
) -> PyResult<()> {
    let Some(label) = label else {
        return dict.set_item(name, value);
    };
    if let Some(family) = dict.get_item(name)? {
        return family.set_item(label, value);
    }
    let family = PyDict::new(dict.py());
    family.set_item(label, value)?;
    dict.set_item(name, family)
}

/// One dictionary an account; its counters are those that are not 0.
pub(crate) fn accounts_list<'py>(
    py: Python<'py>,
    accounts: &[AccountSummary],
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for account in accounts {
        let counters = PyDict::new(py);
        for entry in &account.entries {
            set_counter(&counters, entry.counter, entry.label, entry.count)?;
        }
        let dict = PyDict::new(py);
        dict.set_item(
            "exporter",
            account.exporter.map(|address| address.to_string()),
        )?;
        dict.set_item("format", account.format)?;
        dict.set_item("domain", account.domain)?;
        dict.set_item("counters", counters)?;
        list.append(dict)?;
    }
    Ok(list)
}

/// One dictionary a row. There may be very many: their keys, and words that are few, are shared.
pub(crate) fn exporters_list<'py>(
    py: Python<'py>,
    exporters: &[ExporterSummary],
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for exporter in exporters {
        let dict = PyDict::new(py);
        set_shared(&dict, "exporter", exporter.exporter.to_string())?;
        set_shared(&dict, "format", PyString::intern(py, exporter.format))?;
        set_shared(&dict, "domain", exporter.domain)?;
        set_shared(&dict, "datagrams", exporter.datagrams)?;
        set_shared(&dict, "records", exporter.records)?;
        set_shared(&dict, "lost", exporter.lost)?;
        set_shared(&dict, "late", exporter.late)?;
        set_shared(&dict, "missed", exporter.missed)?;
        set_shared(&dict, "lost_unit", PyString::intern(py, exporter.lost_unit))?;
        set_shared(&dict, "templates", exporter.templates)?;
        set_shared(&dict, "last_seen_ns", exporter.last_seen_ns)?;
        for (name, value) in reported(&exporter.report)
            .into_iter()
            .chain(sampled(&exporter.samples))
        {
            set_shared(&dict, name, value)?;
        }
        set_shared(&dict, "clock_ahead_ms", exporter.clock_ahead_ms)?;
        set_shared(
            &dict,
            "sampling_source",
            PyString::intern(py, exporter.sampling_source),
        )?;
        set_shared(&dict, "sets_waiting", exporter.sets_waiting)?;
        set_shared(&dict, "templates_redefined", exporter.templates_redefined)?;
        set_shared(&dict, "sets_ambiguous", exporter.sets_ambiguous)?;
        let unknown = exporter.unknown_elements.iter();
        let unknown = unknown.map(|(port, element)| (*port, element.pen, element.id));
        set_shared(&dict, "unknown_elements", unknown.collect::<Vec<_>>())?;
        list.append(dict)?;
    }
    Ok(list)
}

/// What a metrics page says of exporters.
pub(crate) fn series_dict<'py>(py: Python<'py>, series: &Series) -> PyResult<Bound<'py, PyDict>> {
    let (by_exporter, by_domain) = (PyList::empty(py), PyList::empty(py));
    for each in &series.by_exporter {
        let dict = PyDict::new(py);
        set_shared(&dict, "exporter", each.exporter.to_string())?;
        set_shared(&dict, "format", PyString::intern(py, each.format))?;
        set_shared(&dict, "datagrams", each.datagrams)?;
        set_shared(&dict, "records", each.records)?;
        set_shared(&dict, "templates", each.templates)?;
        let (clock_ahead_ms, told_ns) = each.clock_ahead.unzip();
        set_shared(&dict, "clock_ahead_ms", clock_ahead_ms)?;
        set_shared(&dict, "clock_told_ns", told_ns)?;
        by_exporter.append(dict)?;
    }
    for each in &series.by_domain {
        let dict = PyDict::new(py);
        set_shared(&dict, "exporter", each.exporter.to_string())?;
        set_shared(&dict, "domain", each.domain)?;
        set_shared(&dict, "lost_unit", PyString::intern(py, each.lost_unit))?;
        set_shared(&dict, "lost", each.lost)?;
        by_domain.append(dict)?;
    }
    let unknown = series.unknown_elements.iter();
    let unknown = unknown.map(|(element, sessions)| (element.pen, element.id, *sessions));
    let dict = PyDict::new(py);
    dict.set_item("exporters", series.exporters)?;
    dict.set_item("by_exporter", by_exporter)?;
    dict.set_item("by_domain", by_domain)?;
    dict.set_item("unknown_elements", unknown.collect::<Vec<_>>())?;
    Ok(dict)
}

/// Sets an item whose key is one string for all dictionaries.
fn set_shared<'py>(
    dict: &Bound<'py, PyDict>,
    key: &str,
    value: impl IntoPyObject<'py>,
) -> PyResult<()> {
    dict.set_item(PyString::intern(dict.py(), key), value)
}

fn reported(report: &ExporterReport) -> [(&'static str, u64); 11] {
    [
        ("messages_reported", report.messages_reported),
        ("messages_arrived", report.messages_arrived),
        ("records_reported", report.records_reported),
        ("records_arrived", report.records_arrived),
        ("octets_reported", report.octets_reported),
        ("octets_arrived", report.octets_arrived),
        ("packets_ignored", report.packets_ignored),
        ("octets_ignored", report.octets_ignored),
        ("records_not_sent", report.records_not_sent),
        ("packets_not_sent", report.packets_not_sent),
        ("octets_not_sent", report.octets_not_sent),
    ]
}

fn sampled(totals: &SampleTotals) -> [(&'static str, u64); 7] {
    [
        ("flow_samples_lost", totals.flow_samples_lost),
        ("counter_samples_lost", totals.counter_samples_lost),
        ("discard_samples_lost", totals.discard_samples_lost),
        ("samples_late", totals.samples_late),
        ("samples_taken", totals.samples_taken),
        ("sample_pool", totals.sample_pool),
        ("sample_drops", totals.sample_drops),
    ]
}
