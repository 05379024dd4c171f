//! What workers hand over: rows, and the ends of intervals.

use std::sync::Arc;

use arrow_array::{ArrayRef, StructArray};
use arrow_schema::Field;
use flowfast_collector::Event;
use flowfast_decode::{TableBatch, TableKind};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

use crate::errors::arrow_error;
use crate::text;

/// Rows of one table, as one Arrow record batch. Readable by anything that knows the Arrow PyCapsule interface, without a copy.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct Batch {
    id: u64,
    rows: TableBatch,
    worker: usize,
    interval_start_s: i64,
}

/// A worker will send no more rows of this rotation interval.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct IntervalEnd(flowfast_collector::IntervalEnd);

impl Batch {
    /// Rows that no worker and no interval stands behind.
    pub(crate) fn of(rows: TableBatch) -> Self {
        Self {
            id: 0,
            rows,
            worker: 0,
            interval_start_s: 0,
        }
    }
}

impl From<flowfast_collector::Batch> for Batch {
    fn from(batch: flowfast_collector::Batch) -> Self {
        let flowfast_collector::Batch {
            id,
            rows,
            worker,
            interval_start_s,
        } = batch;
        Self {
            id,
            rows,
            worker,
            interval_start_s,
        }
    }
}

/// An event as its Python object.
pub(crate) fn event_object(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    Ok(match event {
        Event::Batch(batch) => Py::new(py, Batch::from(batch))?.into_any(),
        Event::IntervalEnd(end) => Py::new(py, IntervalEnd(end))?.into_any(),
    })
}

#[pymethods]
impl Batch {
    /// Its number among the batches of one source.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// `flows`, a table of the `wire` schema, or `ledger`.
    #[getter]
    fn table(&self) -> &str {
        &self.rows.table
    }

    /// `flows`, `data`, `options`, `counters` or `ledger`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.rows.kind.name()
    }

    /// Index of the worker that decoded it.
    #[getter]
    fn worker(&self) -> usize {
        self.worker
    }

    /// Start of the rotation interval that all rows were decoded in, UNIX seconds (0 without rotation): they were received in it, but for
    /// those that waited for their template.
    #[getter]
    fn interval_start(&self) -> i64 {
        self.interval_start_s
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.rows.batch.num_rows()
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let batch = &self.rows.batch;
        let schema = batch.schema_ref();
        let field = Field::new_struct("", schema.fields().clone(), false)
            .with_metadata(schema.metadata().clone());
        let array: ArrayRef = Arc::new(StructArray::from(batch.clone()));
        to_array_pycapsules(py, Arc::new(field), &array, requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.rows.batch.schema_ref().as_ref())
    }

    /// One JSON object a row: addresses, MAC addresses and times as text, octets as hex, nulls left out. `wire` rows also carry `_table`.
    fn to_ndjson<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let table = (self.rows.kind != TableKind::Flows).then(|| self.rows.kind.name());
        let octets = py
            .detach(|| text::to_ndjson(&self.rows.batch, table))
            .map_err(arrow_error)?;
        Ok(PyBytes::new(py, &octets))
    }

    /// Comma-separated rows, addresses and times as text, nulls empty; with a line of column names first if `header`.
    fn to_csv<'py>(&self, py: Python<'py>, header: bool) -> PyResult<Bound<'py, PyBytes>> {
        let octets = py
            .detach(|| text::to_csv(&self.rows.batch, header))
            .map_err(arrow_error)?;
        Ok(PyBytes::new(py, &octets))
    }

    fn __repr__(&self) -> String {
        format!(
            "Batch(table='{}', num_rows={})",
            self.rows.table,
            self.rows.batch.num_rows()
        )
    }
}

#[pymethods]
impl IntervalEnd {
    #[getter]
    fn worker(&self) -> usize {
        self.0.worker
    }

    /// UNIX seconds.
    #[getter]
    fn interval_start(&self) -> i64 {
        self.0.interval_start_s
    }

    /// Rows of the interval that the queue had no room for.
    #[getter]
    fn rows_missing(&self) -> u64 {
        self.0.rows_missing
    }

    /// Name of the journal's segment with the datagrams of the interval, if there is one.
    #[getter]
    fn segment(&self) -> Option<&str> {
        let segment = self.0.segment.as_ref();
        segment.map(|segment| segment.name.as_str())
    }

    /// The segment has every datagram of the interval.
    #[getter]
    fn segment_is_whole(&self) -> bool {
        let segment = self.0.segment.as_ref();
        segment.is_some_and(|segment| segment.is_whole)
    }

    /// Templates were defined in the interval that had not been known before.
    #[getter]
    fn has_new_templates(&self) -> bool {
        let segment = self.0.segment.as_ref();
        segment.is_some_and(|segment| segment.has_new_templates)
    }

    /// The sets of the segment that no template came for are in a file of their own, if there were any.
    #[getter]
    fn late_is_kept(&self) -> bool {
        let segment = self.0.segment.as_ref();
        segment.is_some_and(|segment| segment.late_is_kept)
    }

    fn __repr__(&self) -> String {
        format!(
            "IntervalEnd(worker={}, interval_start={})",
            self.0.worker, self.0.interval_start_s
        )
    }
}
