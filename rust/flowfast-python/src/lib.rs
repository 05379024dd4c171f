//! `flowfast._core`: the Python face of the collector. One verb a file; no logic.

use mimalloc::MiMalloc;
use pyo3::prelude::*;

mod batch;
mod bench;
mod collector;
mod decoder;
mod errors;
mod floor;
mod generate;
mod options;
mod plan;
mod replay;
mod schema;
mod stats;
mod templates;
mod text;
mod wait;

/// Asks for pages of 2 MiB, where the system has them: a tile goes into dozens of columns, a page each, and what the processor knows
/// of pages is gone after a pause. Keeps for a while what targets let go of (docs/decisions/0013-kernels.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The compiled core: receiving, decoding, accounting. See `flowfast` for the public face.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::batch::{Batch, IntervalEnd};
    #[pymodule_export]
    use crate::bench::DecodeBench;
    #[pymodule_export]
    use crate::collector::Collector;
    #[pymodule_export]
    use crate::decoder::Decoder;
    #[pymodule_export]
    use crate::floor::ReceiveFloor;
    #[pymodule_export]
    use crate::generate::generate;
    #[pymodule_export]
    use crate::plan::plans;
    #[pymodule_export]
    use crate::replay::Replay;
    #[pymodule_export]
    use crate::schema::{flow_columns, table_schema};
    #[pymodule_export]
    use crate::templates::known_templates;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
