//! Arguments that several classes share.

use std::collections::HashMap;

use flowfast_collector::Batching;
use flowfast_decode::{DecoderOptions, Kernel, Network, SchemaKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// How to decode. `columns` defaults to the group `standard`.
pub(crate) fn decoder_options(
    schema: &str,
    columns: Option<Vec<String>>,
    (strict_lengths, lenient): (bool, bool),
    biflow: &str,
    mediators: &[String],
) -> PyResult<DecoderOptions> {
    let columns = columns.unwrap_or_else(|| vec!["standard".to_owned()]);
    Ok(DecoderOptions {
        schema: schema_kind(schema)?,
        columns,
        lenient,
        strict_lengths,
        split_biflows: splits_biflows(biflow)?,
        mediators: networks(mediators)?,
        ..DecoderOptions::default()
    })
}

/// Sets the access lists.
pub(crate) fn admit(
    options: &mut DecoderOptions,
    allow: &[String],
    deny: &[String],
) -> PyResult<()> {
    options.admission.allow = networks(allow)?;
    options.admission.deny = networks(deny)?;
    Ok(())
}

/// Networks, in CIDR notation.
fn networks(texts: &[String]) -> PyResult<Vec<Network>> {
    let network = |text: &String| {
        text.parse().map_err(|error| {
            PyValueError::new_err(format!(
                "{error}\nhint: write 192.0.2.0/24, 2001:db8::/32 or one address"
            ))
        })
    };
    texts.iter().map(network).collect()
}

/// Sets the limits of these names.
pub(crate) fn set_limits(
    options: &mut DecoderOptions,
    given: HashMap<String, u64>,
) -> PyResult<()> {
    let DecoderOptions {
        limits, admission, ..
    } = options;
    for (name, value) in given {
        let count = usize::try_from(value).unwrap_or(usize::MAX);
        let rate = u32::try_from(value).unwrap_or(u32::MAX);
        let ns = i64::try_from(value).map_or(i64::MAX, |s| s.saturating_mul(1_000_000_000));
        match name.as_str() {
            "exporters" => limits.domains = count,
            "templates" => limits.templates = count,
            "templates_per_exporter" => limits.templates_per_domain = count,
            "template_fields" => limits.template_fields = count,
            "template_fields_per_exporter" => limits.template_fields_per_domain = count,
            "template_lifetime" => limits.template_lifetime_ns = ns,
            "waiting" => limits.waiting_octets = count,
            "waiting_per_exporter" => limits.waiting_octets_per_domain = count,
            "waiting_time" => limits.waiting_ns = ns,
            "options" => limits.options_octets = count,
            "options_per_session" => limits.options_octets_per_session = count,
            "list_depth" => limits.list_depth = count,
            "sample_sources" => limits.sample_sources = count,
            "sample_sources_per_exporter" => limits.sample_sources_per_domain = count,
            "journal_state" => limits.memory_octets = count,
            "journal_state_per_exporter" => limits.memory_octets_per_domain = count,
            "ledger_exporters" => limits.accounts = count,
            "datagrams_per_second" => admission.datagrams_per_s = rate,
            "records_per_second" => admission.records_per_s = rate,
            "malformed_in_a_row" => admission.malformed_in_a_row = rate,
            "malformed_hold" => admission.hold_ns = ns,
            _ => return Err(PyValueError::new_err(format!("unknown limit `{name}`"))),
        }
    }
    Ok(())
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
