//! The least that receiving costs.

use std::net::{IpAddr, SocketAddr};

use flowfast_collector::ReceiveFloor as Floor;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::os_error;

/// A UDP socket that is read as `Collector` reads it, and whose datagrams are counted and forgotten: the least that receiving costs.
#[pyclass(module = "flowfast._core", frozen)]
pub(crate) struct ReceiveFloor(Floor);

#[pymethods]
impl ReceiveFloor {
    #[new]
    #[pyo3(signature = (address, port, *, rcvbuf=0))]
    fn new(py: Python<'_>, address: &str, port: u16, rcvbuf: usize) -> PyResult<Self> {
        let ip: IpAddr = address
            .parse()
            .map_err(|_| PyValueError::new_err(format!("`{address}` is no IP address")))?;
        let address = SocketAddr::new(ip, port);
        let floor = Floor::bind(address, rcvbuf)
            .map_err(|error| os_error(py, &error, &format!("udp://{address}")))?;
        Ok(Self(floor))
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.address().port()
    }

    /// Receive in this thread, without the GIL, until `stop()`; then `datagrams`, `octets`, `trains` and `kernel_drops`.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let received = py.detach(|| self.0.run());
        let received = received
            .map_err(|error| os_error(py, &error, &format!("udp://{}", self.0.address())))?;
        let dict = PyDict::new(py);
        dict.set_item("datagrams", received.datagrams)?;
        dict.set_item("octets", received.octets)?;
        dict.set_item("trains", received.trains)?;
        dict.set_item("kernel_drops", received.kernel_drops)?;
        Ok(dict)
    }

    /// Have `run()` read what the kernel still holds and return.
    fn stop(&self) {
        self.0.stop();
    }
}
