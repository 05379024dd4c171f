//! The templates that a journal knows.

use std::path::PathBuf;

use flowfast_collector::CaptureFaults;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::start_error;

/// Templates that exporters defined in these captures, and (path, one sentence) for each capture that could not be read to its end.
#[pyfunction]
pub(crate) fn known_templates<'py>(
    py: Python<'py>,
    captures: Vec<PathBuf>,
) -> PyResult<(Bound<'py, PyList>, CaptureFaults)> {
    let (templates, faults) = py
        .detach(|| flowfast_collector::known_templates(&captures))
        .map_err(|error| start_error(py, &error))?;
    let list = PyList::empty(py);
    for template in templates {
        let dict = PyDict::new(py);
        dict.set_item("exporter", template.exporter.to_string())?;
        dict.set_item("exporter_port", template.exporter_port)?;
        dict.set_item("local_port", template.local_port)?;
        dict.set_item("format", template.format)?;
        dict.set_item("domain", template.domain)?;
        dict.set_item("template_id", template.template_id)?;
        dict.set_item("scope_count", template.scope_count)?;
        dict.set_item("fields", template.fields)?;
        dict.set_item("flow_keys", template.flow_keys)?;
        dict.set_item("refreshed_ns", template.refreshed_ns)?;
        list.append(dict)?;
    }
    Ok((list, faults))
}
