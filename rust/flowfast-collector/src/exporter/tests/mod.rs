//! What is exported, read back by a reader that shares no code with it.

mod mix;
mod options;
mod pcap;
mod reader;
mod stream;
mod udp;

use std::time::Duration;

use super::*;

/// The options of the tests: as the default, with a bound.
fn options(format: Format, count: u64) -> ExportOptions {
    ExportOptions {
        format,
        count,
        ..ExportOptions::default()
    }
}

/// Every combination of format, template and order that there is.
fn combinations() -> Vec<(Format, NamedTemplate, FieldOrder)> {
    let mut all = vec![
        (Format::Netflow5, NamedTemplate::V5, FieldOrder::Canonical),
        (Format::Sflow, NamedTemplate::Packet, FieldOrder::Canonical),
    ];
    for format in [Format::Netflow9, Format::Ipfix] {
        for template in NamedTemplate::ALL {
            if template.formats().contains(&format) {
                all.extend(FieldOrder::ALL.map(|order| (format, template, order)));
            }
        }
    }
    all
}

const NEVER: &dyn Fn() -> bool = &|| false;

/// Long enough for any test to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);
