//! sFlow v2, v4 and v5: every sample becomes a record of a template made for its structures. A datagram is read whole before any of
//! it is appended, so that a malformed one leaves nothing behind (FF-IX-03).

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::Announced;
use crate::batch::{FormatCode, MessageContext, Run, mapped};
use crate::decoder::{Datagram, Decoder};
use crate::element::ElementId;
use crate::error::{DecodeError, Warning};
use crate::plan::Piece;
use crate::sequence::{SampleHeader, SampleKind, Units, Volume};
use crate::staging::{PlanId, Records};
use crate::template::domain::DomainKey;
use crate::template::{Definition, RecordKind};
use crate::wire::sflow::datagram::{SflowDatagram, Version, tagged};
use crate::wire::sflow::record::{Field, RecordBuilder, specifier};
use crate::wire::sflow::{legacy, sample, variable_fields};

/// Combinations of structures whose plans are remembered. Exporters have a few each.
const MAX_PLANS: usize = 512;

/// What is kept from one datagram to the next: plans of the combinations seen, and buffers.
#[derive(Debug, Default)]
pub(crate) struct SampleReader {
    data_plans: Plans,
    counters_plans: Plans,
    record: RecordBuilder,
    arena: Vec<u8>,
    spans: Vec<Span>,
    pieces: Vec<Piece>,
    warnings: Vec<Warning>,
    headers: Vec<SampleHeader>,
}

type Plans = HashMap<Box<[Field]>, PlanId, RandomState>;

/// Neighbouring samples of one plan.
#[derive(Debug)]
struct Span {
    plan: PlanId,
    octets: Range<usize>,
    records: usize,
    pieces: Range<usize>,
}

pub(super) fn decode(decoder: &mut Decoder, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
    let header = SflowDatagram::new_checked(datagram.payload)?;
    let key = key(datagram, &header);
    let context = MessageContext {
        domain: header.sub_agent(),
        source: mapped(datagram.exporter),
        sequence: Some(header.sequence()),
        uptime_ms: Some(header.uptime_ms()),
        ..decoder.hear(datagram, key)
    };
    let mut reader = std::mem::take(&mut decoder.samples);
    let outcome = match reader.read(decoder, &header) {
        Err(_) if decoder.is_lenient() => {
            reader.warnings.push(Warning::MalformedTail);
            Ok(())
        }
        outcome => outcome,
    };
    let outcome = outcome.and_then(|()| reader.split(decoder));
    if outcome.is_ok() && !decoder.learns() {
        reader.commit(decoder, &context);
    }
    decoder.samples = reader;
    outcome?;
    // Samples are no Flow Records that an agent could report.
    let arrived = Volume::default();
    decoder.end_message(&context, Some(Units::new(1)), arrived);
    Ok(())
}

fn key(datagram: &Datagram<'_>, header: &SflowDatagram<'_>) -> DomainKey {
    DomainKey {
        // FF-SF-04.
        exporter: mapped(header.agent().unwrap_or(datagram.exporter)),
        format: match header.version() {
            Version::V2 => FormatCode::Sflow2,
            Version::V4 => FormatCode::Sflow4,
            Version::V5 => FormatCode::Sflow5,
        },
        domain: header.sub_agent().unwrap_or(0),
    }
}

pub(super) fn announce(datagram: &Datagram<'_>) -> Option<Announced> {
    let header = SflowDatagram::new_checked(datagram.payload).ok()?;
    Some(Announced {
        key: key(datagram, &header),
        set_id: None,
    })
}

impl SampleReader {
    /// `is_read`: whether a column is made of an element. Of what no column is made of, octets of variable length are not kept.
    pub(crate) fn new(is_read: impl Fn(ElementId) -> bool) -> Self {
        let unread = variable_fields().filter(|&field| !is_read(specifier(field).element));
        Self {
            record: RecordBuilder::without(unread),
            ..Self::default()
        }
    }

    /// Reads all samples; nothing is in effect yet.
    fn read(
        &mut self,
        decoder: &mut Decoder,
        header: &SflowDatagram<'_>,
    ) -> Result<(), DecodeError> {
        self.arena.clear();
        self.spans.clear();
        self.warnings.clear();
        self.headers.clear();
        let mut cursor = header.samples();
        for _ in 0..header.sample_count() {
            self.record.clear();
            let sample = if header.version() == Version::V5 {
                let (tag, body) = tagged(&mut cursor).ok_or(DecodeError::SampleOverrun)?;
                sample::read(tag, body, &mut self.record, &mut self.warnings)?
            } else {
                Some(legacy::read(
                    &mut cursor,
                    header.version(),
                    &mut self.record,
                )?)
            };
            match sample {
                Some(sample) => {
                    self.headers.push(sample);
                    self.end_sample(decoder, record_kind(sample.kind));
                }
                None => self.warnings.push(Warning::UnknownSample),
            }
        }
        if !cursor.rest().is_empty() {
            self.warnings.push(Warning::TrailingOctets);
        }
        Ok(())
    }

    /// Moves the finished record to the others.
    fn end_sample(&mut self, decoder: &mut Decoder, kind: RecordKind) {
        let start = self.arena.len();
        let fields = self.record.finish(&mut self.arena);
        let plans = match kind {
            RecordKind::Counters => &mut self.counters_plans,
            RecordKind::Data | RecordKind::Options => &mut self.data_plans,
        };
        let plan = plans.get(fields).copied().or_else(|| {
            if plans.len() >= MAX_PLANS {
                plans.drain().for_each(|(_, plan)| decoder.release(plan));
            }
            let plan = decoder.intern(definition(fields, kind))?;
            plans.insert(fields.into(), plan);
            Some(plan)
        });
        // Every sample begins with fixed fields, so its records have a length, and so a plan.
        let Some(plan) = plan else { return };
        let octets = start..self.arena.len();
        match self.spans.last_mut() {
            Some(last) if last.plan == plan => last.octets.end = octets.end,
            _ => self.spans.push(Span {
                plan,
                octets,
                records: 0,
                pieces: 0..0,
            }),
        }
    }

    /// Counts the records and finds their fields.
    fn split(&mut self, decoder: &Decoder) -> Result<(), DecodeError> {
        self.pieces.clear();
        for span in &mut self.spans {
            let first = self.pieces.len();
            let body = &self.arena[span.octets.clone()];
            let (records, octets) = decoder.split(span.plan, body, &mut self.pieces)?;
            debug_assert_eq!(octets, body.len(), "records were made for their plan");
            span.records = records;
            span.pieces = first..self.pieces.len();
        }
        Ok(())
    }

    /// Puts everything into effect.
    fn commit(&mut self, decoder: &mut Decoder, context: &MessageContext) {
        for span in self.spans.drain(..) {
            let run = Run {
                records: span.records,
                context: *context,
            };
            decoder.append_records(&Records {
                plan: span.plan,
                body: &self.arena[span.octets],
                pieces: &self.pieces[span.pieces],
                run: &run,
            });
        }
        decoder.observe_samples(context, &self.headers);
        for warning in self.warnings.drain(..) {
            decoder.stats.warn(warning);
        }
    }
}

/// Where the rows of a sample go.
fn record_kind(kind: SampleKind) -> RecordKind {
    match kind {
        SampleKind::Flow | SampleKind::Discard => RecordKind::Data,
        SampleKind::Counters => RecordKind::Counters,
    }
}

fn definition(fields: &[Field], kind: RecordKind) -> Definition {
    Definition {
        fields: fields.iter().map(|&field| specifier(field)).collect(),
        scope_count: 0,
        kind,
        icmp_in_port: false,
        learned: Box::default(),
        objects: Box::default(),
    }
}
