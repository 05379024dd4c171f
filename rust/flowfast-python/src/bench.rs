//! Benchmarks of decoding.

use std::io;
use std::sync::{Mutex, PoisonError};

use flowfast_collector::bench;
use flowfast_collector::exporter::ExportOptionsError;
use flowfast_decode::DecoderOptions;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{options_error, os_error};
use crate::options::{decoder_options, kernel_named};

/// Decodes generated datagrams, or those of a capture, in memory and in this thread, and takes the time.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct DecodeBench(Mutex<bench::DecodeBench>);

#[pymethods]
impl DecodeBench {
    #[new]
    #[pyo3(
        signature = (*, template="ipfix-25", capture=None, order="canonical", kernel="auto", exporters=1, templates=1,
            records=1_000_000, schema="flows", columns=None),
        text_signature = "(*, template='ipfix-25', capture=None, order='canonical', kernel='auto', exporters=1, templates=1, records=1000000, schema='flows', columns=('standard',))"
    )]
    #[expect(clippy::too_many_arguments, reason = "one keyword argument per option")]
    fn new(
        py: Python<'_>,
        template: &str,
        capture: Option<String>,
        order: &str,
        kernel: &str,
        exporters: usize,
        templates: u16,
        records: u64,
        schema: &str,
        columns: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let options = DecoderOptions {
            kernel: kernel_named(kernel)?,
            ..decoder_options(schema, columns, (false, false), "keep", &[])?
        };
        let reference = match (&capture, exporters, templates, order) {
            (Some(_), ..) | (None, 1, 1, "canonical") => None,
            (None, 1, 1, _) => Some("canonical"),
            _ => Some(order),
        };
        let reference = reference
            .map(|order| bench::Load::named(template, order, 1, 1).map_err(invalid))
            .transpose()?;
        let load = load(py, template, capture, order, exporters, templates)?;
        let bench = py.detach(|| bench::DecodeBench::new(load, reference, &options, records));
        Ok(Self(Mutex::new(
            bench.map_err(|error| options_error(&error))?,
        )))
    }

    /// One round. CPU times of this thread in nanoseconds: see docs.
    fn round<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let figures = py.detach(|| {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .round()
        });
        let dict = PyDict::new(py);
        dict.set_item("records", figures.records)?;
        dict.set_item("lost", figures.lost)?;
        dict.set_item("cpu_ns", figures.cpu.as_nanos())?;
        dict.set_item("baseline_ns", figures.baseline.as_nanos())?;
        dict.set_item("floor_ns", figures.floor.as_nanos())?;
        let reference = figures.reference;
        dict.set_item("reference_records", reference.map(|(records, _)| records))?;
        dict.set_item("reference_ns", reference.map(|(_, cpu)| cpu.as_nanos()))?;
        Ok(dict)
    }
}

/// The datagrams of a capture, or else generated ones.
pub(crate) fn load(
    py: Python<'_>,
    template: &str,
    capture: Option<String>,
    order: &str,
    exporters: usize,
    templates: u16,
) -> PyResult<bench::Load> {
    match capture {
        Some(path) => bench::Load::read_capture(&path).map_err(|error| match error.kind() {
            // A sentence on what is in the file, and no number of the system's.
            io::ErrorKind::InvalidData => PyOSError::new_err(format!("{path} {error}")),
            _ => os_error(py, &error, &path),
        }),
        None => bench::Load::named(template, order, exporters, templates).map_err(invalid),
    }
}

fn invalid(error: io::Error) -> PyErr {
    match error.downcast::<ExportOptionsError>() {
        Ok(options) => PyValueError::new_err(options.to_string()),
        Err(error) => error.into(),
    }
}
