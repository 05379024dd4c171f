//! The sequences of sFlow's samples: one per data source and kind (FF-SF-04), and what they say of the sampling (FF-SMP-07).

use std::collections::HashMap;
use std::ops::AddAssign;

use foldhash::fast::RandomState;

use super::tracker::{SequenceEvent, SequenceTracker, Units};

/// A kind of samples; each has a sequence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SampleKind {
    Flow,
    Counters,
    Discard,
}

/// What a sample says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SampleHeader {
    pub(crate) kind: SampleKind,
    /// Type and index of the data source.
    pub(crate) source: (u32, u32),
    pub(crate) sequence: u32,
    /// Of flow samples.
    pub(crate) pool: Option<Pool>,
}

/// Totals of a data source, modulo 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Packets that could have been sampled.
    pub(crate) packets: u32,
    /// Samples that the agent had no resources for.
    pub(crate) drops: u32,
}

/// What the samples of an agent's sources tell together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleTotals {
    /// Flow samples lost before us, by their sequence numbers.
    pub flow_samples_lost: u64,
    /// Counter samples lost before us, by their sequence numbers.
    pub counter_samples_lost: u64,
    /// Discarded-packet samples lost before us, by their sequence numbers.
    pub discard_samples_lost: u64,
    /// Of all these, those that came later than their successors and so were not lost.
    pub samples_late: u64,
    /// Flow samples that were taken since the first one, by their sequence numbers: arrived or not.
    pub samples_taken: u64,
    /// Packets that they were taken from: `sample_pool / samples_taken` is the sampling rate that was in effect (FF-SMP-07).
    pub sample_pool: u64,
    /// Samples that the agent had no resources for, since the first sample.
    pub sample_drops: u64,
}

impl AddAssign for SampleTotals {
    fn add_assign(&mut self, other: Self) {
        self.flow_samples_lost += other.flow_samples_lost;
        self.counter_samples_lost += other.counter_samples_lost;
        self.discard_samples_lost += other.discard_samples_lost;
        self.samples_late += other.samples_late;
        self.samples_taken += other.samples_taken;
        self.sample_pool += other.sample_pool;
        self.sample_drops += other.sample_drops;
    }
}

#[derive(Clone, Debug, Default)]
struct Source {
    tracker: SequenceTracker,
    /// Of the newest flow sample.
    newest: Option<(u32, Pool)>,
}

/// The sources of one agent and sub-agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleSequences {
    sources: HashMap<(SampleKind, (u32, u32)), Source, RandomState>,
}

impl SampleSequences {
    /// How many sources are known.
    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Takes in a sample: what is new by it. `None` if its source is not known, and there is no room for one more.
    pub(crate) fn observe(
        &mut self,
        sample: &SampleHeader,
        uptime_ms: Option<u32>,
        has_room: bool,
    ) -> Option<SampleTotals> {
        let key = (sample.kind, sample.source);
        let source = match self.sources.get_mut(&key) {
            Some(source) => source,
            None if has_room => self.sources.entry(key).or_default(),
            None => return None,
        };
        let event = (source.tracker).observe(sample.sequence, Some(Units::new(1)), uptime_ms);
        let mut totals = SampleTotals::default();
        match event {
            SequenceEvent::Lost(lost) => {
                let counter = match sample.kind {
                    SampleKind::Flow => &mut totals.flow_samples_lost,
                    SampleKind::Counters => &mut totals.counter_samples_lost,
                    SampleKind::Discard => &mut totals.discard_samples_lost,
                };
                *counter = lost.into();
            }
            SequenceEvent::Late(late) => totals.samples_late = late.into(),
            SequenceEvent::InOrder
            | SequenceEvent::Duplicate
            | SequenceEvent::OutOfOrder
            | SequenceEvent::Restart => {}
        }
        let is_newest = matches!(
            event,
            SequenceEvent::InOrder | SequenceEvent::Lost(_) | SequenceEvent::Restart
        );
        if let Some(pool) = sample.pool.filter(|_| is_newest) {
            let before = source.newest.replace((sample.sequence, pool));
            if let Some((sequence, before)) = before.filter(|_| event != SequenceEvent::Restart) {
                totals.samples_taken = sample.sequence.wrapping_sub(sequence).into();
                totals.sample_pool = pool.packets.wrapping_sub(before.packets).into();
                totals.sample_drops = pool.drops.wrapping_sub(before.drops).into();
            }
        }
        Some(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_kinds_count_apart() {
        // FF-SF-04, FF-SMP-07.
        let mut sequences = SampleSequences::default();
        let mut totals = SampleTotals::default();
        let mut sample = |kind, index, sequence, pool: Option<(u32, u32)>| {
            let sample = SampleHeader {
                kind,
                source: (0, index),
                sequence,
                pool: pool.map(|(packets, drops)| Pool { packets, drops }),
            };
            totals += sequences.observe(&sample, Some(1000), true).unwrap();
            totals
        };
        use SampleKind::*;
        // One in 400 of port 1, across the wrap of the pool; port 2 and the counters in between.
        sample(Flow, 1, 10, Some((u32::MAX - 399, 7)));
        sample(Counters, 1, 500, None);
        sample(Flow, 2, 90, Some((1000, 0)));
        assert_eq!(sample(Flow, 1, 11, Some((0, 7))).sample_pool, 400);
        sample(Flow, 2, 91, Some((1100, 0)));
        sample(Counters, 1, 502, None);
        sample(Flow, 1, 15, Some((1600, 9)));
        sample(Discard, 1, 1, None);
        let late = sample(Flow, 1, 13, Some((800, 8)));
        assert_eq!(
            late,
            SampleTotals {
                flow_samples_lost: 3,
                counter_samples_lost: 1,
                discard_samples_lost: 0,
                samples_late: 1,
                samples_taken: 6,
                sample_pool: 2100,
                sample_drops: 2,
            }
        );
    }
}
