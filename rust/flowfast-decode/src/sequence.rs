//! Sequence numbers: what was lost before us, per Exporter and Observation Domain, in the format's own unit (spec 2.3.4).

/// A jump beyond this is an exporter that started anew, not loss (FF-NF-05).
const MAX_PLAUSIBLE_LOSS: u32 = 1_000_000;

/// So many late messages in a row are an exporter that started anew.
const MAX_LATE_IN_A_ROW: u8 = 3;

/// So many messages in a row that fit another way of counting, and not the one assumed, show that the exporter counts that way.
const CONVINCING_IN_A_ROW: u8 = 4;

/// What an exporter's sequence numbers count. The standards say `UnitsBefore`; what was sent tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Units sent before this message (FF-NF-03, FF-SQ-01, FF-V9-04).
    #[default]
    UnitsBefore,
    /// Units sent up to and with this message: softflowd's IPFIX, Open vSwitch's v5.
    UnitsIncluded,
    /// Messages (FF-SQ-06).
    Messages,
}

impl Counting {
    const ALL: [Self; 3] = [Self::UnitsBefore, Self::UnitsIncluded, Self::Messages];

    /// The number that follows `previous`; `None` if it depends on records that could not be counted (FF-SQ-02).
    fn expected(self, previous: Message, units: Option<u32>) -> Option<u32> {
        let step = match self {
            Self::UnitsBefore => previous.units?,
            Self::UnitsIncluded => units?,
            Self::Messages => 1,
        };
        Some(previous.sequence.wrapping_add(step))
    }
}

#[derive(Clone, Copy, Debug)]
struct Message {
    sequence: u32,
    /// Records or packets in it, whichever the format counts.
    units: Option<u32>,
}

/// Messages in a row that fit another way of counting than the one assumed.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    counting: Counting,
    in_a_row: u8,
    /// What the assumed way of counting makes of them: told only if the suspicion is dropped.
    lost: u32,
}

/// Follows one sequence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SequenceTracker {
    previous: Option<Message>,
    counting: Counting,
    suspicion: Option<Suspicion>,
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
    /// How the exporter counts, as far as is known.
    pub(crate) fn counting(&self) -> Counting {
        self.counting
    }

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
        let message = Message { sequence, units };
        let Some(expected) = self
            .previous
            .and_then(|previous| self.counting.expected(previous, units))
        else {
            return self.accept(message, uptime_ms, SequenceEvent::InOrder);
        };
        let ahead = sequence.wrapping_sub(expected);
        if ahead == 0 {
            let event = self.drop_suspicion(0);
            return self.accept(message, uptime_ms, event);
        }
        if let Some(counting) = self.other_counting(message) {
            self.suspect(counting, if ahead < MAX_PLAUSIBLE_LOSS { ahead } else { 0 });
            return self.accept(message, uptime_ms, SequenceEvent::InOrder);
        }
        let is_late = ahead >= 1 << 31;
        let is_restart = if is_late {
            uptime_fell && sequence < MAX_PLAUSIBLE_LOSS || self.late_in_a_row >= MAX_LATE_IN_A_ROW
        } else {
            uptime_fell || ahead > MAX_PLAUSIBLE_LOSS
        };
        if is_restart {
            self.suspicion = None;
            return self.accept(message, uptime_ms, SequenceEvent::Restart);
        }
        if is_late {
            self.late_in_a_row += 1;
            return SequenceEvent::OutOfOrder;
        }
        let event = self.drop_suspicion(ahead);
        self.accept(message, uptime_ms, event)
    }

    fn accept(
        &mut self,
        message: Message,
        uptime_ms: Option<u32>,
        event: SequenceEvent,
    ) -> SequenceEvent {
        self.late_in_a_row = 0;
        self.uptime_ms = uptime_ms;
        self.previous = Some(message);
        event
    }

    /// A way of counting that explains this number, which the assumed one does not.
    fn other_counting(&self, message: Message) -> Option<Counting> {
        let previous = self.previous?;
        Counting::ALL
            .into_iter()
            .filter(|counting| *counting != self.counting)
            .find(|counting| counting.expected(previous, message.units) == Some(message.sequence))
    }

    fn suspect(&mut self, counting: Counting, lost: u32) {
        let before = self
            .suspicion
            .filter(|suspicion| suspicion.counting == counting);
        let in_a_row = before.map_or(0, |suspicion| suspicion.in_a_row) + 1;
        if in_a_row >= CONVINCING_IN_A_ROW {
            self.counting = counting;
            self.suspicion = None;
            return;
        }
        let lost = self
            .suspicion
            .map_or(0, |suspicion| suspicion.lost)
            .saturating_add(lost);
        self.suspicion = Some(Suspicion {
            counting,
            in_a_row,
            lost,
        });
    }

    /// The assumed way of counting holds: what it makes of the messages under suspicion is loss, and so is `lost`.
    fn drop_suspicion(&mut self, lost: u32) -> SequenceEvent {
        match self
            .suspicion
            .take()
            .map_or(0, |suspicion| suspicion.lost)
            .saturating_add(lost)
        {
            0 => SequenceEvent::InOrder,
            lost => SequenceEvent::Lost(lost),
        }
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

    #[test]
    fn exporters_that_count_their_own_message_are_recognised() {
        // Open vSwitch's NetFlow v5, from a capture: 30, 20, 30, 11, 30, 5, 30, 6 records.
        let mut tracker = SequenceTracker::default();
        let messages = [
            (29, 30),
            (49, 20),
            (79, 30),
            (90, 11),
            (120, 30),
            (125, 5),
            (155, 30),
            (161, 6),
        ];
        for (sequence, records) in messages {
            assert_eq!(
                tracker.observe(sequence, Some(records), None),
                SequenceEvent::InOrder
            );
        }
        assert_eq!(tracker.counting(), Counting::UnitsIncluded);
        assert_eq!(tracker.observe(200, Some(9), None), SequenceEvent::Lost(30));
    }

    #[test]
    fn exporters_that_count_messages_are_recognised() {
        // FF-SQ-06.
        let mut tracker = SequenceTracker::default();
        for sequence in 0..10 {
            assert_eq!(
                tracker.observe(sequence, Some(14), None),
                SequenceEvent::InOrder
            );
        }
        assert_eq!(tracker.counting(), Counting::Messages);
        assert_eq!(tracker.observe(12, Some(14), None), SequenceEvent::Lost(2));
    }

    #[test]
    fn a_short_coincidence_is_loss_after_all() {
        // 20 records are missing before the second message, which happens to hold 30.
        let mut tracker = SequenceTracker::default();
        tracker.observe(0, Some(10), None);
        assert_eq!(tracker.observe(30, Some(30), None), SequenceEvent::InOrder);
        assert_eq!(tracker.observe(60, Some(5), None), SequenceEvent::Lost(20));
        assert_eq!(tracker.observe(65, Some(5), None), SequenceEvent::InOrder);
    }
}
