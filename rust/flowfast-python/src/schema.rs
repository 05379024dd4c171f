//! The `flows` schema, told.

use arrow_schema::SchemaRef;
use flowfast_decode::{Decoder, FLOW_COLUMNS, Profile};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::errors::options_error;

/// An Arrow schema.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct TableSchema(SchemaRef);

#[pymethods]
impl TableSchema {
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.as_ref())
    }
}

/// The Arrow schema of the `flows` table with these columns, as an object with `__arrow_c_schema__`. Raises ValueError on an unknown column.
#[pyfunction]
pub(crate) fn table_schema(schema: &str, columns: Vec<String>) -> PyResult<TableSchema> {
    if schema != "flows" {
        return Err(PyValueError::new_err(format!(
            "the tables of schema `{schema}` depend on what is received"
        )));
    }
    Decoder::flows_schema(&columns)
        .map(TableSchema)
        .map_err(|error| options_error(&error))
}

/// Every column of the `flows` schema: `name`, `group`, `type`, `elements` (list of str), `doc`, `minimal` (bool), `standard` (bool).
#[pyfunction]
pub(crate) fn flow_columns(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for column in FLOW_COLUMNS {
        let dict = PyDict::new(py);
        dict.set_item("name", column.name)?;
        dict.set_item("group", column.group)?;
        dict.set_item("type", column.data_type().to_string())?;
        dict.set_item("elements", column.elements())?;
        dict.set_item("doc", column.doc)?;
        dict.set_item("minimal", column.profile <= Profile::Minimal)?;
        dict.set_item("standard", column.profile <= Profile::Standard)?;
        list.append(dict)?;
    }
    Ok(list)
}
