//! `flowfast._core`: the Python face of the collector. One verb a file; no logic.

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
