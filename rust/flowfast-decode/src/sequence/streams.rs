//! What comes from the Exporting Processes of one address and Observation Domain: their sequences, and how much arrived.

use std::ops::AddAssign;

use super::statistics::{ExporterReport, Statistics};
use super::tracker::{SequenceEvent, SequenceTracker, Units};
use crate::template::cache::Session;
use crate::template::options::Report;
use crate::template::sessions::BySession;

/// How much arrived, or is said to have been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) messages: u64,
    /// Flow Records.
    pub(crate) records: u64,
    /// Of the messages.
    pub(crate) octets: u64,
}

impl AddAssign for Volume {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.records += other.records;
        self.octets += other.octets;
    }
}

/// A message as its sequence sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SequencedMessage<'a> {
    pub(crate) sequence: u32,
    /// What it holds, in the format's own unit; `None`: unknown (FF-SQ-02).
    pub(crate) units: Option<Units>,
    pub(crate) uptime_ms: Option<u32>,
    /// The message itself.
    pub(crate) arrived: Volume,
    /// What the exporter says of itself in it.
    pub(crate) reports: &'a [Report],
}

/// What a message has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) event: SequenceEvent,
    /// Units that are newly known to be lost.
    pub(crate) lost: u64,
    /// Units that were counted as lost and were not.
    pub(crate) late: u64,
    /// If the message brought reports that can be compared.
    pub(crate) report: Option<ExporterReport>,
}

/// Loss so far, by one reading of what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Tally {
    /// Messages that were not what came next. First, for the reading with fewer of them is the right one.
    breaks: u64,
    lost: u64,
    late: u64,
}

impl Tally {
    fn add(&mut self, event: SequenceEvent) {
        self.breaks += u64::from(event != SequenceEvent::InOrder);
        match event {
            SequenceEvent::Lost(lost) => self.lost += u64::from(lost),
            SequenceEvent::Late(late) => self.late += u64::from(late),
            _ => {}
        }
    }
}

/// Messages with one sequence.
#[derive(Clone, Debug, Default)]
struct Stream {
    tracker: SequenceTracker,
    /// Before the message that is being decoded.
    arrived: Volume,
    statistics: Statistics,
}

impl Stream {
    fn observe(
        &mut self,
        message: SequencedMessage<'_>,
    ) -> (SequenceEvent, Option<ExporterReport>) {
        let news = (!message.reports.is_empty()).then(|| {
            let mut news = ExporterReport::default();
            for report in message.reports {
                news += self.statistics.compare(report, self.arrived);
            }
            news
        });
        self.arrived += message.arrived;
        let SequencedMessage {
            sequence,
            units,
            uptime_ms,
            ..
        } = message;
        (self.tracker.observe(sequence, units, uptime_ms), news)
    }
}

/// The sequences of one address and Observation Domain.
///
/// IPFIX has one per Transport Session (FF-SQ-03), and there are exporters that send one sequence from many ports (FF-Q-01). So where
/// there are several sessions, both readings are followed, and the one with fewer breaks is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    /// The first session that was heard of.
    first: Option<Session>,
    /// All messages as one stream.
    whole: Stream,
    of_whole: Tally,
    /// Each session as a stream, once there are two.
    sessions: BySession<Stream>,
    of_sessions: Tally,
    /// What has been told of loss: it is not taken back.
    told: Tally,
}

impl Streams {
    /// Whether an exporter counts messages, against the standard.
    pub(crate) fn counts_messages(&self) -> bool {
        self.whole.tracker.counts_messages()
            || self.is_by_session()
                && (self.sessions.values()).any(|stream| stream.tracker.counts_messages())
    }

    /// Takes in a message: what its number says, and what is new in what the exporter says of itself.
    pub(crate) fn observe(&mut self, session: Session, message: SequencedMessage<'_>) -> News {
        let first = *self.first.get_or_insert(session);
        if self.sessions.is_empty() && session != first {
            (self.sessions).get_or_insert_with(first, || self.whole.clone());
            self.of_sessions = self.of_whole;
        }
        let (mut event, mut report) = self.whole.observe(message);
        self.of_whole.add(event);
        let mut tally = self.of_whole;
        if !self.sessions.is_empty() {
            let (own_event, own_report) = self.of_session(session).observe(message);
            self.of_sessions.add(own_event);
            if self.is_by_session() {
                (event, report, tally) = (own_event, own_report, self.of_sessions);
            }
        }
        let news = News {
            event,
            lost: tally.lost.saturating_sub(self.told.lost),
            late: tally.late.saturating_sub(self.told.late),
            report,
        };
        self.told.lost += news.lost;
        self.told.late += news.late;
        news
    }

    /// Flow Records of earlier messages that had to wait for their template.
    pub(crate) fn add_recovered(&mut self, session: Session, records: u64) {
        self.whole.arrived.records += records;
        if let Some(stream) = self.sessions.get_mut(session) {
            stream.arrived.records += records;
        }
    }

    fn is_by_session(&self) -> bool {
        !self.sessions.is_empty() && self.of_sessions <= self.of_whole
    }

    fn of_session(&mut self, session: Session) -> &mut Stream {
        self.sessions.get_or_insert_with(session, || {
            // Nothing led up to its first message: as good as a break.
            self.of_sessions.breaks += 1;
            Stream::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::cache::MAX_SESSIONS;

    fn observe(streams: &mut Streams, port: u16, sequence: u32) -> (u64, u64) {
        let session = Session {
            exporter_port: port,
            local_port: 4739,
        };
        let message = SequencedMessage {
            sequence,
            units: Some(Units::new(10)),
            uptime_ms: None,
            arrived: Volume::default(),
            reports: &[],
        };
        let news = streams.observe(session, message);
        (news.lost, news.late)
    }

    #[test]
    fn sessions_have_sequences_of_their_own() {
        // FF-SQ-03: two processes of one address and domain, in turn; near each other, and so far apart that a jump is no loss.
        for apart in [20, 5000, 3_000_000] {
            let mut streams = Streams::default();
            for n in 0..20 {
                assert_eq!(observe(&mut streams, 1, 10 * n), (0, 0));
                assert_eq!(observe(&mut streams, 2, apart + 10 * n), (0, 0));
            }
            assert_eq!(observe(&mut streams, 1, 220), (20, 0));
            assert_eq!(observe(&mut streams, 2, apart + 200), (0, 0));
            assert_eq!(observe(&mut streams, 1, 210), (0, 10));
        }
    }

    #[test]
    fn one_sequence_may_come_from_many_ports() {
        // FF-Q-01: four in turn, and ever new ones; some messages are lost, also while only two ports are known.
        for ports in [4, 60_000] {
            let mut streams = Streams::default();
            let (mut lost, mut told) = (0, 0);
            for n in 0..2000 {
                if n % 17 == 1 {
                    lost += 10;
                    continue;
                }
                told += observe(&mut streams, (n % ports) as u16, 10 * n).0;
            }
            assert_eq!(told, lost, "{ports} ports");
        }
    }

    #[test]
    fn sessions_without_end_are_bounded() {
        // FF-RB-04.
        let mut streams = Streams::default();
        for n in 0..1000 {
            observe(&mut streams, n, 1000 * u32::from(n));
        }
        assert_eq!(streams.sessions.values().count(), MAX_SESSIONS);
    }
}
