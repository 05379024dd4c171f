//! Views of the bytes on the wire, one file per format, all the same shape: a constructor that checks, getters that then
//! cannot fail, tests. No state, no meaning.
//! sFlow and the packets in it bring structures rather than records: theirs are read into records of templates made for them.

pub(crate) mod fixed;
#[cfg(any(test, fuzzing))]
pub(crate) mod getters;
pub(crate) mod ipfix;
mod layouts;
pub(crate) mod list;
pub(crate) mod netflow9;
pub(crate) mod packet;
pub(crate) mod set;
pub(crate) mod sflow;
pub(crate) mod template;
