//! Templates as dictionaries.

use std::path::PathBuf;

use flowfast_collector::CaptureFaults;
use flowfast_decode::TemplateSummary;
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
    for template in &templates {
        list.append(template_dict(py, template)?)?;
    }
    Ok((list, faults))
}

/// A template as a dictionary.
pub(crate) fn template_dict<'py>(
    py: Python<'py>,
    template: &TemplateSummary,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyList::empty(py);
    for field in template.fields() {
        let dict = PyDict::new(py);
        dict.set_item("name", field.name)?;
        dict.set_item("element", format!("{}:{}", field.pen, field.id))?;
        dict.set_item("length", field.length)?;
        fields.append(dict)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("exporter", template.exporter.to_string())?;
    dict.set_item("exporter_port", template.exporter_port)?;
    dict.set_item(
        "local_address",
        template.local_address.map(|each| each.to_string()),
    )?;
    dict.set_item("local_port", template.local_port)?;
    dict.set_item("format", template.format)?;
    dict.set_item("domain", template.domain)?;
    dict.set_item("template_id", template.template_id)?;
    let kind = if template.is_options() {
        "options"
    } else {
        "data"
    };
    dict.set_item("kind", kind)?;
    dict.set_item("scope_count", template.scope_count())?;
    dict.set_item("fields", fields)?;
    dict.set_item("flow_keys", &template.flow_keys)?;
    dict.set_item("refreshed_ns", template.refreshed_ns)?;
    dict.set_item("sets", template.sets)?;
    dict.set_item("used_ns", template.used_ns)?;
    Ok(dict)
}
