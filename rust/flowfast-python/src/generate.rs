//! Exporting synthetic Flow Records.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flowfast_collector::exporter::{
    ExportOptions, ExportOptionsError, Sent, export_pcap, export_udp,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::os_error;

/// Destination port in a pcap file that goes nowhere else.
const PCAP_PORT: u16 = 2055;

/// Export `count` synthetic Flow Records to a UDP address, a pcap file, or both. Returns what was sent: see docs.
#[pyfunction]
#[pyo3(signature = (*, to, write, format, count, rate, order, seed, exporters, template="default", start_time_s=None, trains=true))]
#[expect(clippy::too_many_arguments, reason = "one keyword argument per option")]
pub(crate) fn generate<'py>(
    py: Python<'py>,
    to: Option<(String, u16)>,
    write: Option<String>,
    format: &str,
    count: u64,
    rate: f64,
    order: &str,
    seed: u64,
    exporters: usize,
    template: &str,
    start_time_s: Option<u32>,
    trains: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let named = |template: &str| template.parse().map_err(invalid);
    let options = ExportOptions {
        format: format.parse().map_err(invalid)?,
        template: (template != "default")
            .then(|| named(template))
            .transpose()?,
        order: order.parse().map_err(invalid)?,
        count,
        rate_flows_per_s: rate,
        seed,
        exporters,
        start_time_s,
        trains,
        ..ExportOptions::default()
    };
    let to = to
        .map(|(address, port)| target(&address, port))
        .transpose()?;
    let mut sent = Sent::default();
    if let Some(path) = write {
        let port = to.map_or(PCAP_PORT, |to| to.port());
        sent = run(py, &path, |should_stop| {
            export_pcap(&options, Path::new(&path), port, should_stop)
        })?;
    }
    if let Some(to) = to {
        sent = run(py, &format!("udp://{to}"), |should_stop| {
            export_udp(&options, to, should_stop)
        })?;
    }
    summary(py, &sent)
}

/// Runs an export without the GIL until it ends or a signal handler raises.
fn run(
    py: Python<'_>,
    name: &str,
    export: impl FnOnce(&dyn Fn() -> bool) -> io::Result<Sent> + Send,
) -> PyResult<Sent> {
    let raised = Mutex::new(None);
    let should_stop = || match Python::attach(|py| py.check_signals()) {
        Ok(()) => false,
        Err(error) => {
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            true
        }
    };
    let sent = py.detach(|| export(&should_stop));
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => sent.map_err(|error| export_error(py, &error, name)),
    }
}

fn export_error(py: Python<'_>, error: &io::Error, name: &str) -> PyErr {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ExportOptionsError>())
    {
        Some(options) => invalid(options.clone()),
        None => os_error(py, error, name),
    }
}

/// ValueError with its `hint:` line.
fn invalid(error: ExportOptionsError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn target(address: &str, port: u16) -> PyResult<SocketAddr> {
    let ip: IpAddr = address
        .parse()
        .map_err(|_| PyValueError::new_err(format!("`{address}` is no IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

fn summary<'py>(py: Python<'py>, sent: &Sent) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("datagrams", sent.datagrams)?;
    dict.set_item("datagram_octets", sent.datagram_octets)?;
    dict.set_item("templates", sent.contents.templates)?;
    dict.set_item("flows", sent.contents.flows())?;
    dict.set_item("flows_ipv4", sent.contents.flows_ipv4)?;
    dict.set_item("flows_ipv6", sent.contents.flows_ipv6)?;
    dict.set_item("packets", sent.contents.packets)?;
    dict.set_item("octets", sent.contents.octets)?;
    dict.set_item("exporters", sent.exporters.len())?;
    dict.set_item("send_errors", sent.send_errors)?;
    dict.set_item("elapsed_ns", sent.elapsed.as_nanos())?;
    Ok(dict)
}
