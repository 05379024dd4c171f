//! What exporters say of themselves (RFC 7011 sections 4.1 to 4.3), held against what arrived (FF-OT-02).

use std::ops::AddAssign;

use super::streams::Volume;
use crate::template::options::{Report, Total};

/// Processes of one stream whose totals are remembered.
const MAX_PROCESSES: usize = 16;

/// What an exporter says it did between its first report and its last one, and what arrived meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExporterReport {
    /// Messages that it sent (41 exportedMessageTotalCount).
    pub messages_reported: u64,
    /// Messages that arrived between the same reports.
    pub messages_arrived: u64,
    /// Flow Records that it sent (42 exportedFlowRecordTotalCount).
    pub records_reported: u64,
    /// Flow Records that arrived between the same reports.
    pub records_arrived: u64,
    /// Octets that it sent (40 exportedOctetTotalCount).
    pub octets_reported: u64,
    /// Octets that arrived between the same reports.
    pub octets_arrived: u64,
    /// Packets that it saw and did not count (164 ignoredPacketTotalCount).
    pub packets_ignored: u64,
    /// Their octets (165 ignoredOctetTotalCount).
    pub octets_ignored: u64,
    /// Flow Records that it had and did not send (166 notSentFlowTotalCount).
    pub records_not_sent: u64,
    /// The packets in them (167 notSentPacketTotalCount).
    pub packets_not_sent: u64,
    /// The octets in them (168 notSentOctetTotalCount).
    pub octets_not_sent: u64,
}

impl AddAssign for ExporterReport {
    fn add_assign(&mut self, other: Self) {
        self.messages_reported += other.messages_reported;
        self.messages_arrived += other.messages_arrived;
        self.records_reported += other.records_reported;
        self.records_arrived += other.records_arrived;
        self.octets_reported += other.octets_reported;
        self.octets_arrived += other.octets_arrived;
        self.packets_ignored += other.packets_ignored;
        self.octets_ignored += other.octets_ignored;
        self.records_not_sent += other.records_not_sent;
        self.packets_not_sent += other.packets_not_sent;
        self.octets_not_sent += other.octets_not_sent;
    }
}

/// The last report of each process of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    processes: Vec<(Report, Volume)>,
}

impl Statistics {
    /// What is new in a report since the last one of the same process. `arrived`: all before the message that brings it, which is
    /// what the totals are of, too.
    pub(super) fn compare(&mut self, report: &Report, arrived: Volume) -> ExporterReport {
        let known = self
            .processes
            .iter_mut()
            .find(|(last, _)| last.of == report.of);
        let Some((last, arrived_before)) = known else {
            if self.processes.len() < MAX_PROCESSES {
                self.processes.push((*report, arrived));
            }
            return ExporterReport::default();
        };
        let before = std::mem::replace(last, *report);
        let arrived_before = std::mem::replace(arrived_before, arrived);
        let step = |total: fn(&Report) -> Option<Total>| step(total(&before)?, total(report)?);
        // Nothing tells which process a message came from: what arrived is of all of them.
        let mut processes = self.processes.iter();
        let is_alone = processes
            .all(|(other, _)| other.of.totals != report.of.totals || other.of == report.of);
        let both = |total, arrived: u64| match step(total).filter(|_| is_alone) {
            Some(reported) => (reported, arrived),
            None => (0, 0),
        };
        let (messages_reported, messages_arrived) = both(
            |report| report.messages,
            arrived.messages - arrived_before.messages,
        );
        let (records_reported, records_arrived) = both(
            |report| report.records,
            arrived.records - arrived_before.records,
        );
        let (octets_reported, octets_arrived) = both(
            |report| report.octets,
            arrived.octets - arrived_before.octets,
        );
        let only = |total| step(total).unwrap_or_default();
        ExporterReport {
            messages_reported,
            messages_arrived,
            records_reported,
            records_arrived,
            octets_reported,
            octets_arrived,
            packets_ignored: only(|report| report.packets_ignored),
            octets_ignored: only(|report| report.octets_ignored),
            records_not_sent: only(|report| report.records_not_sent),
            packets_not_sent: only(|report| report.packets_not_sent),
            octets_not_sent: only(|report| report.octets_not_sent),
        }
    }
}

/// By how much a total has grown. `None`: it has fallen, so the process started anew; but one of few octets (RFC 7011 section 6.2)
/// that falls from near its largest value has wrapped.
fn step(before: Total, now: Total) -> Option<u64> {
    if let Some(step) = now.value.checked_sub(before.value) {
        return Some(step);
    }
    let range = 1u64
        .checked_shl(8 * u32::from(now.octets))
        .filter(|_| now.octets < 8)?;
    let step = now.value + range.checked_sub(before.value)?;
    (step < range / 4).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::options::ReportKey;

    fn total(value: u64, octets: u8) -> Total {
        Total { value, octets }
    }

    #[test]
    fn totals_wrap_and_start_anew() {
        assert_eq!(step(total(5, 8), total(9, 8)), Some(4));
        assert_eq!(step(total(u64::from(u32::MAX), 4), total(9, 4)), Some(10));
        assert_eq!(step(total(1_000_000, 4), total(9, 4)), None);
        assert_eq!(step(total(u64::MAX, 8), total(9, 8)), None);
        assert_eq!(step(total(u64::MAX, 8), total(9, 2)), None);
    }

    #[test]
    fn two_processes_share_what_arrived() {
        let report = |process, records| Report {
            of: ReportKey { totals: 1, process },
            records: Some(total(records, 8)),
            records_not_sent: Some(total(records / 10, 8)),
            ..Report::default()
        };
        let arrived = |records| Volume {
            messages: 0,
            records,
            octets: 0,
        };
        let mut statistics = Statistics::default();
        assert_eq!(
            statistics.compare(&report(1, 100), arrived(0)),
            ExporterReport::default()
        );
        let news = statistics.compare(&report(1, 150), arrived(40));
        let numbers = (
            news.records_reported,
            news.records_arrived,
            news.records_not_sent,
        );
        assert_eq!(numbers, (50, 40, 5));
        statistics.compare(&report(2, 7000), arrived(60));
        let news = statistics.compare(&report(2, 7100), arrived(200));
        let numbers = (
            news.records_reported,
            news.records_arrived,
            news.records_not_sent,
        );
        assert_eq!(numbers, (0, 0, 10));
    }
}
