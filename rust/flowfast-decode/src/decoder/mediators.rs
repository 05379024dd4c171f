//! Records that a mediator or another proxy hands on: they are of the Exporter that they name (RFC 7119 section 4, FF-Q-10).
//!
//! Whose records are taken so is configured, for anyone can write any name. Their templates, sequence numbers and datagrams stay the
//! sender's: it is the sender that numbers and defines them.

use super::Decoder;
use crate::batch::{MessageContext, Run};
use crate::column::Address;
use crate::error::Warning;
use crate::staging::Records;
use crate::template::domain::DomainKey;

impl Decoder {
    /// Gives records to `take`: those of a mediator in parts, as neighbours name the same Exporter.
    pub(super) fn by_exporter(
        &mut self,
        records: &Records<'_>,
        mut take: impl FnMut(&mut Self, &Records<'_>),
    ) {
        let &Records { plan, run, .. } = records;
        let named = self.plans.get(plan).and_then(|plan| plan.exporter);
        let Some(named) = named.filter(|_| self.is_mediator(run.context.source)) else {
            return take(self, records);
        };
        let (mut first, mut rest) = (0, records.body);
        let mut pieces = Vec::new();
        while first < run.records {
            let Some(known) = self.plans.get(plan) else {
                return;
            };
            let tile = records.tile(known);
            let exporter = named.read(&tile, first);
            let end = (first..run.records)
                .find(|&record| named.read(&tile, record) != exporter)
                .unwrap_or(run.records);
            let octets = (first..end).map(|record| tile.record(record).len()).sum();
            let (body, after) = rest.split_at(octets);
            let run = &Run {
                records: end - first,
                context: self.handed_on(run.context, exporter),
            };
            (first, rest) = (end, after);
            pieces.clear();
            let split = self.split(plan, body, &mut pieces);
            debug_assert_eq!(split, Ok((run.records, octets)));
            if split.is_ok() {
                let pieces = &pieces;
                take(
                    self,
                    &Records {
                        plan,
                        body,
                        pieces,
                        run,
                    },
                );
            }
        }
    }

    fn is_mediator(&self, source: Address) -> bool {
        let source = u128::from_be_bytes(source);
        self.mediators
            .iter()
            .any(|network| network.contains(source))
    }

    /// The context of records that name an Exporter.
    fn handed_on(&mut self, context: MessageContext, exporter: Option<Address>) -> MessageContext {
        let of = exporter
            .filter(|exporter| *exporter != context.exporter)
            .and_then(|exporter| Some((exporter, self.original_domain(&context, exporter)?)));
        match of {
            None => context,
            Some((exporter, domain_index)) => MessageContext {
                exporter,
                domain_index,
                ..context
            },
        }
    }

    /// The state of the sender's Observation Domain, of another Exporter; `None` if there is no room for it now.
    fn original_domain(&mut self, context: &MessageContext, exporter: Address) -> Option<usize> {
        let key = DomainKey {
            exporter,
            ..self.domains.get(context.sender_index)?.key
        };
        let found = self.domains.find(&key);
        if found.is_none() && self.domains.len() >= self.limits.domains {
            // None may go before the message ends, for it could be the sender's.
            self.needs_domains = true;
            self.warn(Warning::OriginalExporterRefused);
            return None;
        }
        let index = found.unwrap_or_else(|| self.new_domain(key, context.received_ns));
        self.domains.get_mut(index)?.last_seen_ns = context.received_ns;
        Some(index)
    }
}
