//! Reading datagrams out of capture files.

use std::collections::HashMap;
use std::path::PathBuf;

use flowfast_collector::{BATCH_ROWS, ReplayOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::start_error;
use crate::options::{batching, decoder_options, set_limits};
use crate::stats::{accounts_list, counters_dict, exporters_list};
use crate::wait;

/// Datagrams out of pcap and pcapng files, decoded by the same workers as `Collector`'s.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct Replay(flowfast_collector::Replay);

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(
        signature = (
            paths, *, ports=Vec::new(), schema="flows", columns=None, strict_lengths=false, lenient=false, biflow="keep", mediators=Vec::new(), workers=1, first_worker=0, rotate_s=0,
            batch_rows=BATCH_ROWS, queue_batches=64, late=None, ledger=false, limits=HashMap::new()
        ),
        text_signature = "(paths, *, ports=(), schema='flows', columns=('standard',), strict_lengths=False, lenient=False, biflow='keep', mediators=(), workers=1, first_worker=0, rotate_s=0, \
            batch_rows=16384, queue_batches=64, late=None, ledger=False, limits={})"
    )]
    #[expect(clippy::too_many_arguments, reason = "one keyword argument per option")]
    fn new(
        py: Python<'_>,
        paths: Vec<String>,
        ports: Vec<u16>,
        schema: &str,
        columns: Option<Vec<String>>,
        strict_lengths: bool,
        lenient: bool,
        biflow: &str,
        mediators: Vec<String>,
        workers: usize,
        first_worker: usize,
        rotate_s: u32,
        batch_rows: usize,
        queue_batches: usize,
        late: Option<PathBuf>,
        ledger: bool,
        limits: HashMap<String, u64>,
    ) -> PyResult<Self> {
        if workers == 0 {
            return Err(PyValueError::new_err("nothing is read without a worker"));
        }
        let mut decoder = decoder_options(
            schema,
            columns,
            (strict_lengths, lenient),
            biflow,
            &mediators,
        )?;
        set_limits(&mut decoder, limits)?;
        let options = ReplayOptions {
            paths,
            ports,
            decoder,
            batching: batching(rotate_s, batch_rows, None, ledger),
            workers,
            first_worker,
            queue_batches,
            late,
        };
        let replay =
            flowfast_collector::Replay::open(&options).map_err(|error| start_error(py, &error))?;
        Ok(Self(replay))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.0.start().map_err(|error| start_error(py, &error))
    }

    /// The next event, waiting without the GIL; None after `timeout_s`, or at once when all is read and the queue is empty.
    fn next_event(&self, py: Python<'_>, timeout_s: f64) -> PyResult<Option<Py<PyAny>>> {
        wait::next_event(
            py,
            timeout_s,
            |timeout| self.0.next_event(timeout),
            || self.0.finished(),
        )
    }

    /// All files are read and the queue is empty.
    #[getter]
    fn finished(&self) -> bool {
        self.0.finished()
    }

    /// (octets read, octets in all files).
    fn progress(&self) -> (u64, u64) {
        self.0.progress()
    }

    /// (path, one sentence) for each file that was truncated or is no capture; what was readable has been decoded.
    fn file_errors(&self) -> Vec<(String, String)> {
        self.0.file_errors()
    }

    /// Counters as `Collector.stats()` gives them, with `packets_read` and `packets_skipped` by reason.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = counters_dict(py, &self.0.counters())?;
        let (depth, capacity) = self.0.queue_depth();
        dict.set_item("queue_depth", depth)?;
        dict.set_item("queue_capacity", capacity)?;
        Ok(dict)
    }

    fn exporters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        exporters_list(py, &self.0.exporters())
    }

    fn accounts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        accounts_list(py, &self.0.accounts())
    }

    /// Read no more. `next_event` goes on giving what was read until `finished`.
    fn stop(&self) {
        self.0.stop();
    }

    /// Stop; what was not taken is dropped and counted. Idempotent.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
