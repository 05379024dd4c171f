//! Sequence numbers: what was lost before us, per Exporter and Observation Domain, in the format's own unit (spec 2.3.4).

/// A jump beyond this is an exporter that started anew, not loss (FF-NF-05).
const MAX_PLAUSIBLE_LOSS: u32 = 1_000_000;

/// So many late messages in a row are an exporter that started anew.
const MAX_LATE_IN_A_ROW: u8 = 3;

/// Follows one sequence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SequenceTracker {
    /// The next message's number; `None` until one is known, and after records that could not be counted (FF-SQ-02).
    expected: Option<u32>,
    uptime_ms: Option<u32>,
    late_in_a_row: u8,
}

/// What a message's sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceEvent {
    /// As expected, or nothing to expect from.
    InOrder,
    /// So many units are missing (FF-SQ-04); a wrap at 2^32 is none (FF-SQ-05).
    Lost(u32),
    /// An earlier number: late or a duplicate.
    OutOfOrder,
    /// The exporter started anew (FF-Q-06).
    Restart,
}

impl SequenceTracker {
    /// Takes in a message with number `sequence` that holds `units` (`None`: unknown).
    pub(crate) fn observe(
        &mut self,
        sequence: u32,
        units: Option<u32>,
        uptime_ms: Option<u32>,
    ) -> SequenceEvent {
        let uptime_fell = self
            .uptime_ms
            .zip(uptime_ms)
            .is_some_and(|(before, now)| now < before);
        let ahead = self
            .expected
            .map_or(0, |expected| sequence.wrapping_sub(expected));
        let event = if ahead == 0 {
            SequenceEvent::InOrder
        } else if ahead < 1 << 31 {
            if uptime_fell || ahead > MAX_PLAUSIBLE_LOSS {
                SequenceEvent::Restart
            } else {
                SequenceEvent::Lost(ahead)
            }
        } else if uptime_fell && sequence < MAX_PLAUSIBLE_LOSS
            || self.late_in_a_row >= MAX_LATE_IN_A_ROW
        {
            SequenceEvent::Restart
        } else {
            SequenceEvent::OutOfOrder
        };
        if event == SequenceEvent::OutOfOrder {
            self.late_in_a_row += 1;
            return event;
        }
        self.late_in_a_row = 0;
        self.uptime_ms = uptime_ms;
        self.expected = units.map(|units| sequence.wrapping_add(units));
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(tracker: &mut SequenceTracker, sequence: u32) -> SequenceEvent {
        tracker.observe(sequence, Some(10), None)
    }

    #[test]
    fn gaps_wraps_and_late_messages() {
        // FF-NF-03, FF-NF-05, FF-SQ-05.
        let mut tracker = SequenceTracker::default();
        assert_eq!(observe(&mut tracker, u32::MAX - 4), SequenceEvent::InOrder);
        assert_eq!(observe(&mut tracker, 5), SequenceEvent::InOrder);
        assert_eq!(observe(&mut tracker, 35), SequenceEvent::Lost(20));
        assert_eq!(observe(&mut tracker, 25), SequenceEvent::OutOfOrder);
        assert_eq!(observe(&mut tracker, 45), SequenceEvent::InOrder);
    }

    #[test]
    fn restarts_are_not_loss() {
        // FF-Q-06.
        let mut tracker = SequenceTracker::default();
        tracker.observe(5_000, Some(1), Some(900_000));
        assert_eq!(
            tracker.observe(0, Some(1), Some(1_000)),
            SequenceEvent::Restart
        );
        assert_eq!(
            tracker.observe(1, Some(1), Some(2_000)),
            SequenceEvent::InOrder
        );
        assert_eq!(
            tracker.observe(90_000_000, Some(1), Some(3_000)),
            SequenceEvent::Restart
        );
        // IPFIX has no uptime: a few late messages in a row tell.
        let events: Vec<_> = (0..5).map(|n| tracker.observe(n, Some(1), None)).collect();
        assert_eq!(
            events[2..],
            [
                SequenceEvent::OutOfOrder,
                SequenceEvent::Restart,
                SequenceEvent::InOrder
            ]
        );
    }

    #[test]
    fn uncounted_records_make_the_next_message_uncertain() {
        // FF-SQ-02.
        let mut tracker = SequenceTracker::default();
        tracker.observe(0, None, None);
        assert_eq!(tracker.observe(500, Some(1), None), SequenceEvent::InOrder);
    }
}
