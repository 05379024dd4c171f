//! Counters and Exporters as dictionaries.

use flowfast_collector::Counters;
use flowfast_decode::ExporterSummary;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// By name: a number, or for families a dictionary of numbers by label.
pub(crate) fn counters_dict<'py>(
    py: Python<'py>,
    counters: &Counters,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for counter in counters.iter() {
        match counter.label {
            None => dict.set_item(counter.name, counter.value)?,
            Some(label) => match dict.get_item(counter.name)? {
                Some(family) => family.set_item(label, counter.value)?,
                None => {
                    let family = PyDict::new(py);
                    family.set_item(label, counter.value)?;
                    dict.set_item(counter.name, family)?;
                }
            },
        }
    }
    Ok(dict)
}

/// One dictionary a row.
pub(crate) fn exporters_list<'py>(
    py: Python<'py>,
    exporters: &[ExporterSummary],
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for exporter in exporters {
        let dict = PyDict::new(py);
        dict.set_item("exporter", exporter.exporter.to_string())?;
        dict.set_item("format", exporter.format)?;
        dict.set_item("domain", exporter.domain)?;
        dict.set_item("datagrams", exporter.datagrams)?;
        dict.set_item("records", exporter.records)?;
        dict.set_item("lost", exporter.lost)?;
        dict.set_item("lost_unit", exporter.lost_unit)?;
        dict.set_item("templates", exporter.templates)?;
        dict.set_item("last_seen_ns", exporter.last_seen_ns)?;
        dict.set_item("clock_ahead_ms", exporter.clock_ahead_ms)?;
        dict.set_item("sampling_source", exporter.sampling_source)?;
        dict.set_item("sets_waiting", exporter.sets_waiting)?;
        dict.set_item("templates_redefined", exporter.templates_redefined)?;
        dict.set_item("sets_ambiguous", exporter.sets_ambiguous)?;
        list.append(dict)?;
    }
    Ok(list)
}
