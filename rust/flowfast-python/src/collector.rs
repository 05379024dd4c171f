//! Receiving from UDP sockets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;

use flowfast_collector::{
    BATCH_ROWS, CollectorOptions, FatalDatagram, Inherited, JournalOptions, Listen, ListenFormat,
    Room, UnknownElement, WhenFull,
};
use flowfast_decode::DecoderOptions;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::start_error;
use crate::options::{admit, batching, decoder_options, set_limits};
use crate::stats::{accounts_list, counters_dict, exporters_list, series_dict};
use crate::templates::template_dict;
use crate::wait;

/// What `stats()` tells of each worker.
const WORKER_COUNTERS: [&str; 9] = [
    "heartbeats",
    "datagrams_received",
    "octets_received",
    "trains_received",
    "kernel_drops",
    "receive_errors",
    "records_decoded",
    "records_queued",
    "records_dropped",
];

/// UDP sockets, one worker thread each, decoding into a bounded queue.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct Collector(flowfast_collector::Collector);

#[pymethods]
impl Collector {
    #[new]
    #[pyo3(
        signature = (
            listen, *, inherited=Vec::new(), schema="flows", columns=None, strict_lengths=false, lenient=false, biflow="keep", mediators=Vec::new(), rcvbuf=0, rotate_s=0,
            batch_rows=BATCH_ROWS, batch_age_ms=1000, queue_batches=128, when_full="drop", journal=None, state=Vec::new(),
            ledger=false, limits=HashMap::new(), allow=Vec::new(), deny=Vec::new()
        ),
        text_signature = "(listen, *, inherited=(), schema='flows', columns=('standard',), strict_lengths=False, lenient=False, biflow='keep', mediators=(), rcvbuf=0, \
            rotate_s=0, batch_rows=16384, batch_age_ms=1000, queue_batches=128, when_full='drop', journal=None, state=(), ledger=False, \
            limits={}, allow=(), deny=())"
    )]
    #[expect(clippy::too_many_arguments, reason = "one keyword argument per option")]
    fn new(
        py: Python<'_>,
        listen: Vec<(String, u16, usize, String)>,
        inherited: Vec<(i32, String)>,
        schema: &str,
        columns: Option<Vec<String>>,
        strict_lengths: bool,
        lenient: bool,
        biflow: &str,
        mediators: Vec<String>,
        rcvbuf: usize,
        rotate_s: u32,
        batch_rows: usize,
        batch_age_ms: u32,
        queue_batches: usize,
        when_full: &str,
        journal: Option<(PathBuf, String)>,
        state: Vec<PathBuf>,
        ledger: bool,
        limits: HashMap<String, u64>,
        allow: Vec<String>,
        deny: Vec<String>,
    ) -> PyResult<Self> {
        if i32::try_from(rcvbuf).is_err() {
            return Err(PyValueError::new_err(
                "a receive buffer must be smaller than 2 GiB",
            ));
        }
        let mut decoder = decoder_options(
            schema,
            columns,
            (strict_lengths, lenient),
            biflow,
            &mediators,
        )?;
        set_limits(&mut decoder, limits)?;
        admit(&mut decoder, &allow, &deny)?;
        let options = CollectorOptions {
            listen: listen.iter().map(listener).collect::<PyResult<_>>()?,
            inherited: inherited
                .iter()
                .map(|(descriptor, format)| {
                    Ok(Inherited {
                        descriptor: *descriptor,
                        format: listen_format(format)?,
                    })
                })
                .collect::<PyResult<_>>()?,
            decoder,
            batching: batching(rotate_s, batch_rows, Some(batch_age_ms), ledger),
            rcvbuf,
            queue_batches,
            when_full: parse_when_full(when_full)?,
            journal: journal.map(|(directory, run)| JournalOptions { directory, run }),
            state,
        };
        let collector = py
            .detach(|| flowfast_collector::Collector::bind(&options))
            .map_err(|error| start_error(py, &error))?;
        Ok(Self(collector))
    }

    /// Per listener: `uri` (with the real port), `address`, `port`, `workers`, `rcvbuf_requested`, `rcvbuf_granted`, `steering` (bool).
    fn listeners<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for listener in self.0.listeners() {
            let dict = PyDict::new(py);
            dict.set_item("uri", listener.listen.uri())?;
            dict.set_item("address", listener.listen.address.ip().to_string())?;
            dict.set_item("port", listener.listen.address.port())?;
            dict.set_item("workers", listener.listen.workers)?;
            dict.set_item("rcvbuf_requested", listener.rcvbuf_requested)?;
            dict.set_item("rcvbuf_granted", listener.rcvbuf_granted)?;
            dict.set_item("steering", listener.steering)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// (path, one sentence) for each file of `state` that was truncated or is no capture; what was readable has been learnt.
    fn state_faults(&self) -> Vec<(String, String)> {
        self.0.state_faults().to_vec()
    }

    /// Write nothing into the journal, or do again.
    fn pause_journal(&self, paused: bool) {
        self.0.pause_journal(paused);
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.0.start().map_err(|error| start_error(py, &error))
    }

    /// The next event, waiting without the GIL; None after `timeout_s`, or at once when all workers have stopped and the queue is empty.
    fn next_event(&self, py: Python<'_>, timeout_s: f64) -> PyResult<Option<Py<PyAny>>> {
        wait::next_event(
            py,
            timeout_s,
            |timeout| self.0.next_event(timeout),
            || self.0.finished(),
        )
    }

    /// Ask the workers to read what the kernel still holds, flush and stop. `next_event` goes on giving events until `finished`.
    fn stop(&self) {
        self.0.stop();
    }

    /// End the present rotation interval now, with its `IntervalEnd`; later ones last `rotate_s` seconds, or as long as before.
    #[pyo3(signature = (rotate_s=None))]
    fn rotate(&self, rotate_s: Option<u32>) {
        self.0.rotate(rotate_s);
    }

    /// Whom to hear from now on, and how much of each: networks as in the constructor, and of `limits` those that are rates.
    #[pyo3(signature = (*, limits, allow, deny))]
    fn set_admission(
        &self,
        limits: HashMap<String, u64>,
        allow: Vec<String>,
        deny: Vec<String>,
    ) -> PyResult<()> {
        let mut decoder = DecoderOptions::default();
        set_limits(&mut decoder, limits)?;
        admit(&mut decoder, &allow, &deny)?;
        self.0.set_admission(decoder.admission);
        Ok(())
    }

    /// When the last datagram that `state` holds was received, nanoseconds since the UNIX epoch; None if it holds none.
    fn recalled_until_ns(&self) -> Option<i64> {
        self.0.recalled_until_ns()
    }

    /// What to do from now on with rows that find the queue full: `drop` or `block`.
    fn set_when_full(&self, when_full: &str) -> PyResult<()> {
        self.0.set_when_full(parse_when_full(when_full)?);
        Ok(())
    }

    /// All workers have stopped and the queue is empty.
    #[getter]
    fn finished(&self) -> bool {
        self.0.finished()
    }

    /// Counters by name, a dictionary by label for families; `queue_depth` and `queue_capacity` in flushes; and per worker, in
    /// `workers`, its index, the URI it listens on and its counters of datagrams and records.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = counters_dict(py, &self.0.counters())?;
        let (depth, capacity) = self.0.queue_depth();
        dict.set_item("queue_depth", depth)?;
        dict.set_item("queue_capacity", capacity)?;
        let workers = PyList::empty(py);
        for listener in self.0.listeners() {
            for index in listener.first_worker..listener.first_worker + listener.listen.workers {
                let counters = self.0.worker_counters(index);
                let worker = PyDict::new(py);
                worker.set_item("worker", index)?;
                worker.set_item("uri", listener.listen.uri())?;
                for name in WORKER_COUNTERS {
                    worker.set_item(name, counters.total(name))?;
                }
                workers.append(worker)?;
            }
        }
        dict.set_item("workers", workers)?;
        Ok(dict)
    }

    /// Ordered by address: `limit` rows (None: all) from the one at index `first` on.
    #[pyo3(signature = (first=0, limit=None))]
    fn exporters<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        limit: Option<usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let exporters = py.detach(|| self.0.exporters(places(first, limit)));
        exporters_list(py, &exporters)
    }

    /// What a metrics page says of exporters, where there is room for so many exporters, Observation Domains, and elements in no registry:
    /// `exporters` (how many are known), and lists: `by_exporter`, `by_domain`, `unknown_elements` (pen, id, how many sessions have it).
    /// Who has had series keeps them.
    fn series<'py>(
        &self,
        py: Python<'py>,
        exporters: usize,
        domains: usize,
        elements: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let room = Room {
            exporters,
            domains,
            elements,
        };
        let series = py.detach(|| self.0.series(room));
        series_dict(py, &series)
    }

    /// (exporter, port, Observation Domain, pen, id) of elements in no registry that this has not told before, `limit` at most.
    fn news_of_unknown_elements(
        &self,
        py: Python<'_>,
        limit: usize,
    ) -> Vec<(String, u16, u32, u32, u32)> {
        let news = py.detach(|| self.0.news_of_unknown_elements(limit));
        let told = |each: UnknownElement| {
            let exporter = each.exporter.to_string();
            let element = each.element;
            (
                exporter,
                each.exporter_port,
                each.domain,
                element.pen,
                element.id,
            )
        };
        news.into_iter().map(told).collect()
    }

    /// How many `exporters` has; cheap, however many they are.
    fn exporter_count(&self) -> usize {
        self.0.exporter_count()
    }

    /// One dictionary a template that the workers know, as `known_templates` gives them; ordered by address, `limit` of them (None: all)
    /// from the one at index `first` on.
    #[pyo3(signature = (first=0, limit=None))]
    fn templates<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        limit: Option<usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let templates = py.detach(|| self.0.templates(places(first, limit)));
        let list = PyList::empty(py);
        for template in &templates {
            list.append(template_dict(py, template)?)?;
        }
        Ok(list)
    }

    /// (exporter, port, local port, payload) of datagrams that a decoder panicked on, at most a few of each worker.
    fn fatal_datagrams(&self) -> Vec<(String, u16, u16, Cow<'static, [u8]>)> {
        let told = |each: FatalDatagram| {
            let payload = Cow::Owned(each.payload.into_vec());
            (
                each.exporter.to_string(),
                each.exporter_port,
                each.local_port,
                payload,
            )
        };
        self.0.fatal_datagrams().into_iter().map(told).collect()
    }

    /// What became of what each Exporter sent, as the ledger has it: `exporter`, `format` and `domain` (all None: nobody's), `counters`.
    fn accounts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let accounts = py.detach(|| self.0.accounts());
        accounts_list(py, &accounts)
    }

    /// Stop without waiting for a consumer: queued batches are dropped and counted. Idempotent; frees sockets and threads.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// `limit` places of a list, or all, from one on.
fn places(first: usize, limit: Option<usize>) -> Range<usize> {
    first..limit.map_or(usize::MAX, |limit| first.saturating_add(limit))
}

fn listener((address, port, workers, format): &(String, u16, usize, String)) -> PyResult<Listen> {
    let ip: IpAddr = address.parse().map_err(|_| {
        PyValueError::new_err(format!(
            "`{address}` is no IP address\nhint: `::` listens on all addresses, IPv4 and IPv6"
        ))
    })?;
    if *workers == 0 {
        return Err(PyValueError::new_err(
            "a listener needs at least one worker",
        ));
    }
    Ok(Listen {
        address: SocketAddr::new(ip, *port),
        workers: *workers,
        format: listen_format(format)?,
    })
}

fn listen_format(format: &str) -> PyResult<ListenFormat> {
    Ok(match format {
        "any" => ListenFormat::Any,
        "netflow" => ListenFormat::Netflow,
        "sflow" => ListenFormat::Sflow,
        _ => {
            let message = format!(
                "unknown format `{format}`\nhint: formats are `any`, `netflow` and `sflow`"
            );
            return Err(PyValueError::new_err(message));
        }
    })
}

fn parse_when_full(when_full: &str) -> PyResult<WhenFull> {
    match when_full {
        "drop" => Ok(WhenFull::Drop),
        "block" => Ok(WhenFull::Block),
        _ => Err(PyValueError::new_err(format!(
            "unknown `when_full`: `{when_full}`\nhint: it is `drop` or `block`"
        ))),
    }
}
