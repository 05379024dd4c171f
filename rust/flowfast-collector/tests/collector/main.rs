//! The collector as its users see it: real sockets of 127.0.0.0/8, real files, real time.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod capture_files;
mod common;
mod payload;
mod receive;
mod replay;
mod rotation;
