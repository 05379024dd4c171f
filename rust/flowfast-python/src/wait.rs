//! Waiting for events without the GIL, and without keeping Ctrl-C waiting.

use std::time::{Duration, Instant};

use flowfast_collector::Event;
use pyo3::prelude::*;

use crate::batch::event_object;

/// How long signals may go unnoticed.
const SLICE: Duration = Duration::from_millis(100);

/// The next event out of `take`, or None after `timeout_s`, or as soon as `finished`. Raises what a signal handler raises.
pub(crate) fn next_event(
    py: Python<'_>,
    timeout_s: f64,
    take: impl Fn(Duration) -> Option<Event> + Sync,
    finished: impl Fn() -> bool + Sync,
) -> PyResult<Option<Py<PyAny>>> {
    let timeout = Duration::try_from_secs_f64(timeout_s.max(0.0)).unwrap_or(Duration::MAX);
    let start = Instant::now();
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        if let Some(event) = py.detach(|| take(left.min(SLICE))) {
            return event_object(py, event).map(Some);
        }
        py.check_signals()?;
        if left <= SLICE || finished() {
            return Ok(None);
        }
    }
}
