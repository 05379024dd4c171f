//! What comes from the Exporting Processes of one address and Observation Domain: their sequences, and how much arrived.

use std::ops::AddAssign;

use super::statistics::{ExporterReport, Statistics};
use super::tracker::{MAX_PLAUSIBLE_LOSS, Position, SequenceEvent, SequenceTracker, Units};
use crate::prefetch::prefetch;
use crate::template::cache::Session;
use crate::template::options::Report;
use crate::template::sessions::BySession;

const NS_PER_S: i64 = 1_000_000_000;

/// A sequence is not followed across a longer time: it may have wrapped.
const MAX_DOWN_NS: i64 = 3600 * NS_PER_S;

/// Whose messages make a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of all sessions of the address and Observation Domain.
    All,
    /// Of one Transport Session.
    Session(Session),
}

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
    pub(crate) received_ns: i64,
    /// An earlier process received it: nothing of it counts but where the sequence is.
    pub(crate) is_recalled: bool,
    /// The message itself.
    pub(crate) arrived: Volume,
    /// What the exporter says of itself in it.
    pub(crate) reports: &'a [Report],
}

/// What a message has told; by default that it is the one that was to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) event: SequenceEvent,
    /// Units that are newly known to be lost.
    pub(crate) lost: u64,
    /// Units that were counted as lost and were not.
    pub(crate) late: u64,
    /// Units that were sent while no process of ours was there.
    pub(crate) missed: u64,
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
    missed: u64,
}

impl Tally {
    fn add(&mut self, (event, is_first): (SequenceEvent, bool)) {
        self.breaks += u64::from(event != SequenceEvent::InOrder);
        match event {
            SequenceEvent::Lost(missed) if is_first => self.missed += u64::from(missed),
            SequenceEvent::Lost(lost) => self.lost += u64::from(lost),
            SequenceEvent::Late(late) => self.late += u64::from(late),
            _ => {}
        }
    }
}

/// Messages with one sequence.
#[derive(Clone, Debug, Default)]
#[repr(C)] // in front, what a message touches that is what was to come
struct Stream {
    /// When its last message was received.
    heard_ns: i64,
    /// Before the message that is being decoded.
    arrived: Volume,
    /// Its last message was received by an earlier process.
    is_recalled: bool,
    tracker: SequenceTracker,
    statistics: Statistics,
}

impl Stream {
    /// What an exporter says of itself is held against what arrived since this process hears it.
    #[inline]
    fn compare(&mut self, message: &SequencedMessage<'_>) -> Option<ExporterReport> {
        if message.is_recalled {
            return None;
        }
        let news = (!message.reports.is_empty()).then(|| {
            let mut news = ExporterReport::default();
            for report in message.reports {
                news += self.statistics.compare(report, self.arrived);
            }
            news
        });
        self.arrived += message.arrived;
        news
    }

    /// What a message's number says, and whether that is of the time between two processes.
    #[inline]
    fn follow(&mut self, message: &SequencedMessage<'_>) -> (SequenceEvent, bool) {
        let &SequencedMessage {
            sequence,
            units,
            uptime_ms,
            received_ns,
            is_recalled,
            ..
        } = message;
        let heard_ns = std::mem::replace(&mut self.heard_ns, received_ns);
        if is_recalled || !self.is_recalled {
            self.is_recalled = is_recalled;
            return (self.tracker.observe(sequence, units, uptime_ms), false);
        }
        let down_ns = received_ns.saturating_sub(heard_ns);
        if down_ns > MAX_DOWN_NS {
            self.tracker = SequenceTracker::default();
        }
        let down_s = u32::try_from(down_ns / NS_PER_S).unwrap_or_default();
        let plausible = MAX_PLAUSIBLE_LOSS.saturating_mul(down_s.saturating_add(1));
        let plausible = plausible.min((1 << 31) - 1);
        let event = (self.tracker).observe_within(plausible, sequence, units, uptime_ms);
        // What was sent before, and comes late or twice, decides nothing.
        if !matches!(
            event,
            SequenceEvent::OutOfOrder | SequenceEvent::Duplicate | SequenceEvent::Late(_)
        ) {
            self.tracker.forget_gaps();
            self.is_recalled = self.tracker.is_undecided();
        }
        (event, true)
    }
}

/// The sequences of one address and Observation Domain.
///
/// IPFIX has one per Transport Session (FF-SQ-03), and there are exporters that send one sequence from many ports (FF-Q-01). So where
/// there are several sessions, both readings are followed, and the one with fewer breaks is told.
#[derive(Clone, Debug, Default)]
#[repr(C)] // in front, what a message touches that is what was to come
pub(crate) struct Streams {
    /// Once there are two sessions.
    apart: Option<Box<Apart>>,
    /// The first session that was heard of.
    first: Option<Session>,
    /// All messages as one stream.
    whole: Stream,
    of_whole: Tally,
    /// What has been told of loss: it is not taken back.
    told: Tally,
}

/// Each session as a stream.
#[derive(Clone, Debug, Default)]
struct Apart {
    sessions: BySession<Stream>,
    tally: Tally,
}

impl Apart {
    fn stream(&mut self, session: Session) -> &mut Stream {
        self.sessions.get_or_insert_with(session, || {
            // Nothing led up to its first message: as good as a break.
            self.tally.breaks += 1;
            Stream::default()
        })
    }
}

impl Streams {
    /// Whether an exporter counts messages, against the standard.
    pub(crate) fn counts_messages(&self) -> bool {
        let counts_messages = |stream: &Stream| stream.tracker.counts_messages();
        let told = self.apart.as_ref();
        let told = told.filter(|apart| apart.tally <= self.of_whole);
        counts_messages(&self.whole)
            || told.is_some_and(|apart| apart.sessions.values().any(counts_messages))
    }

    /// As [`Domain::prefetch`](crate::template::domain::Domain::prefetch).
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.whole.tracker);
    }

    #[cfg(test)]
    pub(crate) fn tracker_address(&self) -> usize {
        (&raw const self.whole.tracker).addr()
    }

    /// Takes in a message: what its number says, and what is new in what the exporter says of itself.
    pub(crate) fn observe(&mut self, session: Session, message: SequencedMessage<'_>) -> News {
        let first = *self.first.get_or_insert(session);
        if session != first && self.apart.is_none() {
            let apart = self.apart.get_or_insert_default();
            let whole = || self.whole.clone();
            apart.sessions.get_or_insert_with(first, whole);
            apart.tally = self.of_whole;
        }
        let (mut event, mut report) = (self.whole.follow(&message), self.whole.compare(&message));
        if self.apart.is_none() && event.0 == SequenceEvent::InOrder && report.is_none() {
            return News::default();
        }
        self.of_whole.add(event);
        let mut tally = self.of_whole;
        if let Some(apart) = &mut self.apart {
            let stream = apart.stream(session);
            let (own_event, own_report) = (stream.follow(&message), stream.compare(&message));
            apart.tally.add(own_event);
            if apart.tally <= self.of_whole {
                (event, report, tally) = (own_event, own_report, apart.tally);
            }
        }
        let (event, _) = event;
        let news = News {
            event,
            lost: tally.lost.saturating_sub(self.told.lost),
            late: tally.late.saturating_sub(self.told.late),
            missed: tally.missed.saturating_sub(self.told.missed),
            report,
        };
        self.told.lost += news.lost;
        self.told.late += news.late;
        self.told.missed += news.missed;
        news
    }

    /// Where its sequences are, each with when its last message was received, and whether an earlier process did.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (Whose, Position, i64, bool)> {
        let whole = std::iter::once((Whose::All, &self.whole));
        let sessions = (self.apart.iter()).flat_map(|apart| apart.sessions.iter());
        let sessions = sessions.map(|(session, stream)| (Whose::Session(*session), stream));
        whole.chain(sessions).filter_map(|(whose, stream)| {
            let position = stream.tracker.position()?;
            Some((whose, position, stream.heard_ns, stream.is_recalled))
        })
    }

    /// A sequence was followed up to there, and last heard of at that time, by an earlier process or not; no matter if more of it is known.
    /// `session` heard of it last.
    pub(crate) fn learn(
        &mut self,
        whose: Whose,
        session: Session,
        position: Position,
        (heard_ns, is_recalled): (i64, bool),
    ) {
        self.first.get_or_insert(session);
        let stream = match whose {
            Whose::All => &mut self.whole,
            Whose::Session(session) => {
                let apart = self.apart.get_or_insert_default();
                apart.sessions.get_or_insert_with(session, Stream::default)
            }
        };
        if stream.tracker.position().is_none() || stream.heard_ns <= heard_ns {
            stream.tracker = SequenceTracker::at(position);
            (stream.heard_ns, stream.is_recalled) = (heard_ns, is_recalled);
        }
    }

    /// All that was heard so far, an earlier process has heard.
    pub(crate) fn resume(&mut self) {
        let sessions = (self.apart.iter_mut()).flat_map(|apart| apart.sessions.iter_mut());
        let sessions = sessions.map(|(_, stream)| stream);
        for stream in std::iter::once(&mut self.whole).chain(sessions) {
            stream.is_recalled = stream.tracker.position().is_some();
        }
    }

    /// Flow Records of earlier messages that had to wait for their template.
    pub(crate) fn add_recovered(&mut self, session: Session, records: u64) {
        self.whole.arrived.records += records;
        let apart = self.apart.as_mut();
        if let Some(stream) = apart.and_then(|apart| apart.sessions.get_mut(session)) {
            stream.arrived.records += records;
        }
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
            received_ns: 0,
            is_recalled: false,
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
        assert_eq!(
            streams.apart.unwrap().sessions.values().count(),
            MAX_SESSIONS
        );
    }
}
