//! Plans as dictionaries.

use flowfast_collector::bench::Load;
use flowfast_decode::{Decoder, DecoderOptions, PlanSummary, PlannedColumn};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::bench::load;
use crate::errors::options_error;
use crate::options::decoder_options;

/// How the records of a generated template, or of those in a capture, become columns. Raises ValueError on a name that there is not,
/// OSError on a capture that cannot be read.
#[pyfunction]
#[pyo3(
    signature = (*, template="ipfix-25", capture=None, order="canonical", schema="flows"),
    text_signature = "(*, template='ipfix-25', capture=None, order='canonical', schema='flows')"
)]
pub(crate) fn plans<'py>(
    py: Python<'py>,
    template: &str,
    capture: Option<String>,
    order: &str,
    schema: &str,
) -> PyResult<Bound<'py, PyList>> {
    let options = decoder_options(schema, None, (false, false), "keep", &[])?;
    let load = load(py, template, capture, order, 1, 1)?;
    let plans = py
        .detach(|| plans_of(&load, &options))
        .map_err(|error| options_error(&error))?;
    let list = PyList::empty(py);
    for plan in &plans {
        list.append(plan_dict(py, plan)?)?;
    }
    Ok(list)
}

fn plans_of(
    load: &Load,
    options: &DecoderOptions,
) -> Result<Vec<PlanSummary>, flowfast_decode::OptionsError> {
    let mut decoder = Decoder::new(options)?;
    for datagram in load.datagrams() {
        // What is malformed defines no template.
        let _ = decoder.decode(&datagram);
    }
    Ok(decoder.plans())
}

fn plan_dict<'py>(py: Python<'py>, plan: &PlanSummary) -> PyResult<Bound<'py, PyDict>> {
    let users = PyList::empty(py);
    for user in &plan.users {
        let dict = PyDict::new(py);
        dict.set_item("exporter", user.exporter.to_string())?;
        dict.set_item("format", user.format)?;
        dict.set_item("domain", user.domain)?;
        dict.set_item("template_id", user.template_id)?;
        users.append(dict)?;
    }
    let fields = PyList::empty(py);
    for (field, planned) in &plan.fields {
        let dict = PyDict::new(py);
        dict.set_item("name", &field.name)?;
        dict.set_item("element", format!("{}:{}", field.pen, field.id))?;
        dict.set_item("length", field.length)?;
        dict.set_item("offset", planned.offset)?;
        dict.set_item("after", planned.after)?;
        dict.set_item("uses", columns(py, &planned.uses)?)?;
        dict.set_item("skipped", planned.skipped)?;
        fields.append(dict)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("users", users)?;
    dict.set_item("kind", if plan.is_options { "options" } else { "data" })?;
    dict.set_item("scope_count", plan.scope_count)?;
    dict.set_item("record_octets", plan.record_octets)?;
    dict.set_item("table", &plan.table)?;
    dict.set_item("fields", fields)?;
    dict.set_item("neighbourhoods", &plan.neighbourhoods)?;
    dict.set_item("canonical_runs", plan.canonical_runs)?;
    dict.set_item("unfilled", columns(py, &plan.unfilled)?)?;
    Ok(dict)
}

fn columns<'py>(py: Python<'py>, columns: &[PlannedColumn]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for each in columns {
        let dict = PyDict::new(py);
        dict.set_item("column", &each.column)?;
        dict.set_item("operation", &each.operation)?;
        list.append(dict)?;
    }
    Ok(list)
}
