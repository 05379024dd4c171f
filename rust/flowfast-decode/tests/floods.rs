//! Floods of forged exporters and templates: who behaves keeps his templates (FF-SEC-04, FF-TL-14).

mod common;

use std::net::IpAddr;

use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Limits, SchemaKind, Warning};

const S: i64 = SECOND_NS;
const BYTES: u16 = 1;
const NORMAL: u32 = 0;

/// A decoder with room for little, and an exporter that behaves: its template once, then its records.
struct Flood {
    ledger: Ledger,
    sent: u64,
}

impl Flood {
    fn new(limits: Limits) -> Self {
        let mut flood = Self {
            ledger: Ledger::with(&DecoderOptions {
                limits,
                ..options(SchemaKind::Flows)
            }),
            sent: 0,
        };
        let definition = templates(&[template(256, &[iana(BYTES, 8)])]);
        flood.feed(NORMAL, 0, 0, &[definition]);
        flood
    }

    /// A message of an exporter, at a time after the start.
    fn feed(&mut self, exporter: u32, domain: u32, after_ns: i64, sets: &[Vec<u8>]) {
        let from = From {
            exporter,
            at_ns: EPOCH_NS + after_ns,
            ..HERE
        };
        self.ledger.feed(from, &ipfix(0, domain, sets));
    }

    /// The one that behaves sends a record.
    fn behave(&mut self, after_ns: i64) {
        self.feed(NORMAL, 0, after_ns, &[set(256, &[0; 8])]);
        self.sent += 1;
    }

    /// Its records, as far as they were decoded.
    fn decoded(&self) -> u64 {
        let exporters = self.ledger.decoder.exporters();
        let own = exporters
            .iter()
            .filter(|each| each.exporter == IpAddr::V4(NORMAL.into()));
        own.map(|each| each.records).sum()
    }
}

/// `count` templates like no others, the first with the id `first`, and if it `uses` them a record of each.
fn storm(first: u16, count: u16, length: u16, uses: bool) -> Vec<Vec<u8>> {
    let ids = first..first + count;
    let definitions: Vec<_> = (ids.clone())
        .map(|id| template(id, &[iana(id, 1), iana(BYTES, 1 + length)]))
        .collect();
    let mut sets = vec![templates(&definitions)];
    if uses {
        sets.extend(ids.map(|id| set(id, &vec![0; 2 + usize::from(length)])));
    }
    sets
}

#[test]
fn a_storm_of_templates_costs_those_who_send_it() {
    // From the first second, by 64 domains: they fill all room in less than a second, without records or with one of each template.
    // The one that behaves is heard eight times a second.
    for uses in [false, true] {
        let mut flood = Flood::new(Limits {
            template_fields: 20_000,
            ..Limits::default()
        });
        for n in 0..6400u16 {
            let after_ns = i64::from(n) * S / 64;
            let (domain, first) = (u32::from(n % 64), 256 + 24 * (n / 64));
            flood.feed(
                1 + domain,
                domain,
                after_ns,
                &storm(first, 24, n % 64, uses),
            );
            if n % 8 == 0 {
                flood.behave(after_ns);
            }
        }
        assert_eq!(flood.decoded(), flood.sent, "uses: {uses}");
        assert!(flood.ledger.warnings(Warning::TemplateEvicted) > 100_000);
    }
}

#[test]
fn a_source_heard_once_goes_before_one_heard_seldom() {
    // The sources of the flood fill all room every 10 s. The one that behaves has been heard for a minute, and is now every 20 s.
    let mut flood = Flood::new(Limits {
        domains: 1000,
        ..Limits::default()
    });
    flood.behave(60 * S);
    for n in 0..12_000u32 {
        let after_ns = 60 * S + i64::from(n) * S / 100;
        flood.feed(1 + n, n, after_ns, &storm(256, 1, 1, true));
        if n % 2000 == 1999 {
            flood.behave(after_ns);
        }
    }
    assert!(flood.ledger.warnings(Warning::ExporterEvicted) > 10_000);
    assert_eq!(flood.decoded(), flood.sent);
}

#[test]
fn sources_that_are_kept_up_do_not_age_as_well_as_an_old_exporter() {
    // 1200 forged sources where there is room for 1000, each heard with records every 12 s for four minutes: more often than the one that
    // behaves, which has been heard every minute for an hour.
    let mut flood = Flood::new(Limits {
        domains: 1000,
        ..Limits::default()
    });
    for minute in 1..60 {
        flood.behave(minute * 60 * S);
        flood.feed(
            NORMAL,
            0,
            minute * 60 * S,
            &[templates(&[template(256, &[iana(BYTES, 8)])])],
        );
    }
    for n in 0..24_000u32 {
        let after_ns = 3540 * S + i64::from(n) * S / 100;
        flood.feed(1 + n % 1200, 0, after_ns, &storm(256, 1, 1, true));
        if n % 6000 == 5999 {
            flood.behave(after_ns);
        }
    }
    assert!(flood.ledger.warnings(Warning::ExporterEvicted) > 1000);
    assert_eq!(flood.decoded(), flood.sent);
}
