//! Why reception or replay cannot start.

use std::io;

use flowfast_decode::OptionsError;

/// What stands in the way of starting. Nothing that arrives from the network becomes an error of this kind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A column that does not exist.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A socket cannot be bound: port in use, no permission, address not on this machine.
    #[error("cannot listen on {uri}: {source}")]
    Bind {
        /// The listener, as a URI.
        uri: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A capture file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file, as it was given.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// What the kernel said.
        source: io::Error,
    },
}
