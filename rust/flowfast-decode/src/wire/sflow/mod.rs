//! sFlow v5, v4 and v2 (sflow.org; spec 2.15): XDR structures, which become records of templates made for them.
//!
//! - `cursor`: XDR's basic types, each read checked;
//! - `datagram`: the header, and what is tagged with type and length;
//! - `record`: fields and octets, while they are collected;
//! - `structure`: any structure, by the layouts in `layouts`, to fields of a record;
//! - `sample`: v5 samples; `legacy`: those of v2 and v4, which carry no lengths.

pub(crate) mod cursor;
pub(crate) mod datagram;
mod layouts;
pub(crate) mod legacy;
pub(crate) mod record;
pub(crate) mod sample;
pub(crate) mod structure;

/// The fields of variable length that structures have.
pub(crate) fn variable_fields() -> impl Iterator<Item = record::Field> {
    let tables = [
        layouts::FLOW_V2,
        layouts::FLOW_V4,
        layouts::FLOW,
        layouts::COUNTER,
    ];
    let structures = tables.into_iter().flatten();
    structures.flat_map(structure::Structure::variable_fields)
}
