//! What a metrics page says of exporters: whoever sends to us chooses no label without a bound.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

use flowfast_decode::{ElementId, ExporterSummary};

/// Exporters, and Observation Domains, that have series of their own at most; and elements in no registry.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Exporters, by address.
    pub exporters: usize,
    /// Observation Domains, over all exporters.
    pub domains: usize,
    /// Elements in no registry.
    pub elements: usize,
}

/// What there is room for.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Exporters known, those without series included.
    pub exporters: usize,
    /// What each exporter that has series sent.
    pub by_exporter: Vec<ExporterSeries>,
    /// What each Observation Domain that has one lost.
    pub by_domain: Vec<DomainSeries>,
    /// Elements in no registry, and how many Transport Sessions have templates with each: those that most have.
    pub unknown_elements: Vec<(ElementId, usize)>,
}

/// What an exporter sent in one format, over all its Observation Domains.
#[derive(Clone, Debug)]
pub struct ExporterSeries {
    /// Its address.
    pub exporter: IpAddr,
    /// As [`ExporterSummary::format`].
    pub format: &'static str,
    /// Datagrams received.
    pub datagrams: u64,
    /// Records decoded.
    pub records: u64,
    /// Templates known.
    pub templates: usize,
    /// How far its clock is ahead of ours by the latest message that tells, and when that came; milliseconds, nanoseconds since the epoch.
    pub clock_ahead: Option<(i64, i64)>,
}

/// What an Observation Domain lost on the way to us.
#[derive(Clone, Debug)]
pub struct DomainSeries {
    /// Its exporter's address.
    pub exporter: IpAddr,
    /// Observation Domain.
    pub domain: u32,
    /// As [`ExporterSummary::lost_unit`].
    pub lost_unit: &'static str,
    /// As [`ExporterSummary::lost`].
    pub lost: u64,
}

/// Who has series: those that had before, while they are known, then those that send most. A series never changes hands.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    exporters: HashSet<IpAddr>,
    domains: HashSet<(IpAddr, u32)>,
}

impl Holders {
    /// The series of all that are known now.
    pub(crate) fn series<'a>(
        &mut self,
        known: impl Iterator<Item = &'a ExporterSummary> + Clone,
        room: Room,
    ) -> Series {
        let present = records_by(known.clone(), |each| each.exporter);
        admit(&mut self.exporters, &present, room.exporters);
        let shown = || (known.clone()).filter(|each| self.exporters.contains(&each.exporter));
        let domains = records_by(shown(), |each| (each.exporter, each.domain));
        admit(&mut self.domains, &domains, room.domains);
        let in_domains = shown().filter(|each| {
            let domain = (each.exporter, each.domain);
            self.domains.contains(&domain)
        });
        Series {
            exporters: present.len(),
            by_exporter: by_exporter(shown()),
            by_domain: in_domains
                .map(|each| DomainSeries {
                    exporter: each.exporter,
                    domain: each.domain,
                    lost_unit: each.lost_unit,
                    lost: each.lost,
                })
                .collect(),
            unknown_elements: unknown_elements(known, room.elements),
        }
    }
}

fn records_by<'a, K: Eq + Hash>(
    exporters: impl Iterator<Item = &'a ExporterSummary>,
    key: impl Fn(&ExporterSummary) -> K,
) -> HashMap<K, u64> {
    let mut sums = HashMap::new();
    for each in exporters {
        *sums.entry(key(each)).or_default() += each.records;
    }
    sums
}

fn admit<K: Copy + Eq + Hash + Ord>(
    admitted: &mut HashSet<K>,
    present: &HashMap<K, u64>,
    limit: usize,
) {
    admitted.retain(|key| present.contains_key(key));
    let others = present.iter().filter(|(key, _)| !admitted.contains(key));
    let mut others: Vec<(u64, K)> = others.map(|(&key, &records)| (records, key)).collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    let room = limit.saturating_sub(admitted.len());
    admitted.extend(others.into_iter().take(room).map(|(_, key)| key));
}

fn by_exporter<'a>(shown: impl Iterator<Item = &'a ExporterSummary>) -> Vec<ExporterSeries> {
    let mut sums: HashMap<(IpAddr, &'static str), ExporterSeries> = HashMap::new();
    for each in shown {
        let sum = sums
            .entry((each.exporter, each.format))
            .or_insert_with(|| ExporterSeries {
                exporter: each.exporter,
                format: each.format,
                datagrams: 0,
                records: 0,
                templates: 0,
                clock_ahead: None,
            });
        sum.datagrams += each.datagrams;
        sum.records += each.records;
        sum.templates += each.templates;
        let told = each
            .clock_ahead_ms
            .map(|ahead_ms| (ahead_ms, each.last_seen_ns));
        sum.clock_ahead = [sum.clock_ahead, told]
            .into_iter()
            .flatten()
            .max_by_key(|&(_, seen_ns)| seen_ns);
    }
    sums.into_values().collect()
}

fn unknown_elements<'a>(
    known: impl Iterator<Item = &'a ExporterSummary>,
    limit: usize,
) -> Vec<(ElementId, usize)> {
    let mut sessions: HashMap<ElementId, usize> = HashMap::new();
    for (_, element) in known.flat_map(|each| &each.unknown_elements) {
        *sessions.entry(*element).or_default() += 1;
    }
    let mut most: Vec<_> = sessions.into_iter().collect();
    most.sort_unstable_by_key(|&(element, sessions)| (std::cmp::Reverse(sessions), element));
    most.truncate(limit);
    most
}

#[cfg(test)]
mod tests;
