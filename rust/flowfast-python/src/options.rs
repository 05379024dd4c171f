//! Arguments that several classes share.

use flowfast_collector::Batching;
use flowfast_decode::{DecoderOptions, Kernel, SchemaKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// How to decode. `columns` defaults to the group `standard`.
pub(crate) fn decoder_options(
    schema: &str,
    columns: Option<Vec<String>>,
    lenient: bool,
    biflow: &str,
) -> PyResult<DecoderOptions> {
    let columns = columns.unwrap_or_else(|| vec!["standard".to_owned()]);
    Ok(DecoderOptions {
        schema: schema_kind(schema)?,
        columns,
        lenient,
        split_biflows: splits_biflows(biflow)?,
        ..DecoderOptions::default()
    })
}

/// `flows` or `wire`.
pub(crate) fn schema_kind(name: &str) -> PyResult<SchemaKind> {
    match name {
        "flows" => Ok(SchemaKind::Flows),
        "wire" => Ok(SchemaKind::Wire),
        _ => Err(PyValueError::new_err(format!(
            "unknown schema `{name}`\nhint: schemas are `flows` and `wire`"
        ))),
    }
}

/// `keep` or `split`.
fn splits_biflows(biflow: &str) -> PyResult<bool> {
    match biflow {
        "keep" => Ok(false),
        "split" => Ok(true),
        _ => Err(PyValueError::new_err(format!(
            "unknown `biflow`: `{biflow}`\nhint: it is `keep` or `split`"
        ))),
    }
}

/// When batches close. `batch_age_ms` None: never by age.
pub(crate) fn batching(
    rotate_s: u32,
    batch_rows: usize,
    batch_age_ms: Option<u32>,
    ledger: bool,
) -> Batching {
    let age_ns = batch_age_ms.map(|age_ms| i64::from(age_ms) * 1_000_000);
    Batching {
        rotate_s,
        rows: batch_rows.max(1),
        age_ns,
        ledger,
    }
}

/// `auto` or `plain`.
pub(crate) fn kernel_named(name: &str) -> PyResult<Kernel> {
    let found = Kernel::ALL.into_iter().find(|kernel| kernel.name() == name);
    found.ok_or_else(|| {
        let names = Kernel::ALL.map(Kernel::name).join(", ");
        PyValueError::new_err(format!(
            "unknown kernel `{name}`\nhint: kernels are {names}"
        ))
    })
}
