//! Decoding datagrams from anywhere.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use flowfast_collector::Counters;
use flowfast_decode::{Datagram, DecoderOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::batch::Batch;
use crate::errors::options_error;
use crate::options::{decoder_options, kernel_named};
use crate::stats::counters_dict;

/// Decodes datagrams from anywhere. Not thread-safe; one exporter's datagrams belong in one decoder.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct Decoder(Mutex<flowfast_decode::Decoder>);

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(
        signature = (*, schema="flows", columns=None, strict_lengths=false, lenient=false, biflow="keep", mediators=Vec::new(), kernel="auto"),
        text_signature = "(*, schema='flows', columns=('standard',), strict_lengths=False, lenient=False, biflow='keep', mediators=(), kernel='auto')"
    )]
    fn new(
        schema: &str,
        columns: Option<Vec<String>>,
        strict_lengths: bool,
        lenient: bool,
        biflow: &str,
        mediators: Vec<String>,
        kernel: &str,
    ) -> PyResult<Self> {
        let options = DecoderOptions {
            kernel: kernel_named(kernel)?,
            ..decoder_options(
                schema,
                columns,
                (strict_lengths, lenient),
                biflow,
                &mediators,
            )?
        };
        let decoder =
            flowfast_decode::Decoder::new(&options).map_err(|error| options_error(&error))?;
        Ok(Self(Mutex::new(decoder)))
    }

    /// Decode one datagram. Malformed ones raise nothing: they are counted in `stats()`. Raises ValueError if `exporter` is no IP address.
    #[pyo3(signature = (datagram, exporter, exporter_port=0, *, local_port=0, time_received_ns=None))]
    fn decode(
        &self,
        datagram: &[u8],
        exporter: &str,
        exporter_port: u16,
        local_port: u16,
        time_received_ns: Option<i64>,
    ) -> PyResult<()> {
        let exporter: IpAddr = exporter
            .parse()
            .map_err(|_| PyValueError::new_err(format!("`{exporter}` is no IP address")))?;
        let datagram = Datagram {
            exporter: exporter.to_canonical(),
            exporter_port,
            local_port,
            received_ns: time_received_ns.unwrap_or_else(now_ns),
            payload: datagram,
        };
        // A fault is counted by the decoder.
        let _ = self.decoder().decode(&datagram);
        Ok(())
    }

    /// All rows decoded since the last flush, a batch a table.
    fn flush(&self) -> Vec<Batch> {
        self.decoder().flush().into_iter().map(Batch::of).collect()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = Counters::from(self.decoder().stats().counters());
        counters_dict(py, &counters)
    }
}

impl Decoder {
    fn decoder(&self) -> MutexGuard<'_, flowfast_decode::Decoder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
