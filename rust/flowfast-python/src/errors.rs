//! Rust's errors as Python's exceptions.

use std::io;

use arrow_schema::ArrowError;
use flowfast_collector::StartError;
use flowfast_decode::OptionsError;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyAnyMethods;

/// ValueError for options; OSError with `errno` and `filename` (the URI or the path) for sockets and files.
pub(crate) fn start_error(py: Python<'_>, error: &StartError) -> PyErr {
    match error {
        StartError::Options(error) => options_error(error),
        StartError::Bind { uri: name, source } | StartError::Open { path: name, source } => {
            os_error(py, source, name)
        }
        StartError::Thread { source } => os_error(py, source, ""),
    }
}

/// ValueError that names the nearest column in a `hint:` line.
pub(crate) fn options_error(error: &OptionsError) -> PyErr {
    let OptionsError::UnknownColumn { nearest, .. } = error;
    PyValueError::new_err(match nearest {
        Some(nearest) => format!("{error}\nhint: did you mean `{nearest}`?"),
        None => error.to_string(),
    })
}

/// OSError, or the subclass that Python has for its errno.
pub(crate) fn os_error(py: Python<'_>, error: &io::Error, name: &str) -> PyErr {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let said = py
        .import("os")
        .and_then(|os| os.call_method1("strerror", (errno,)))
        .and_then(|text| text.extract());
    let said: String = said.unwrap_or_else(|_| error.to_string());
    PyOSError::new_err((errno, said, name.to_owned()))
}

/// RuntimeError: no batch of ours should ever fail to be written as text.
pub(crate) fn arrow_error(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
