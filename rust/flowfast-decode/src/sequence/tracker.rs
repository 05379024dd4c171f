//! Follows one sequence: loss, and what is none of it - wraps, restarts, late and duplicate messages, other ways of counting.

/// A jump beyond this is an exporter that started anew, not loss (FF-NF-05).
pub(super) const MAX_PLAUSIBLE_LOSS: u32 = 1_000_000;

/// Loss remembered, to know a message that comes late from one that comes twice.
const MAX_GAPS: usize = 16;

/// A late message is not so much older than its successors. An uptime that fell further is an exporter that started anew.
const MAX_LATE_MS: u32 = 10_000;

/// So many late messages in a row are an exporter that started anew.
const MAX_LATE_IN_A_ROW: u8 = 3;

/// So many messages in a row that fit another way of counting, and not the one assumed, show that the exporter counts that way.
const CONVINCING_IN_A_ROW: u8 = 4;

/// Ways of counting, as a set. The standards say `UNITS_BEFORE`; what was sent tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counting(u8);

impl Counting {
    /// Units sent before this message (FF-NF-03, FF-SQ-01, FF-V9-04).
    pub(crate) const UNITS_BEFORE: Self = Self(1);
    /// Units sent up to and with this message: Open vSwitch's v5.
    pub(crate) const UNITS_INCLUDED: Self = Self(2);
    /// Flow Records, and not options data, sent before this message.
    pub(crate) const FLOWS_BEFORE: Self = Self(4);
    /// Flow Records, and not options data, sent up to and with this message: softflowd's IPFIX.
    pub(crate) const FLOWS_INCLUDED: Self = Self(8);
    /// Messages (FF-SQ-06).
    pub(crate) const MESSAGES: Self = Self(16);

    const ALL: [Self; 5] = [
        Self::UNITS_BEFORE,
        Self::UNITS_INCLUDED,
        Self::FLOWS_BEFORE,
        Self::FLOWS_INCLUDED,
        Self::MESSAGES,
    ];

    /// As one octet, and back: `None` for what is no set of these.
    pub(crate) fn octet(self) -> u8 {
        self.0
    }

    pub(crate) fn of_octet(octet: u8) -> Option<Self> {
        (1..1 << Self::ALL.len())
            .contains(&octet)
            .then_some(Self(octet))
    }

    fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn either(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first of the set in order of `ALL`.
    fn first(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    /// The number that follows `previous` by one way of counting; `None` if it depends on records that could not be counted
    /// (FF-SQ-02).
    fn expected(self, previous: Message, units: Option<Units>) -> Option<u32> {
        let step = match self {
            Self::UNITS_BEFORE => previous.units?.all,
            Self::UNITS_INCLUDED => units?.all,
            Self::FLOWS_BEFORE => previous.units?.flows,
            Self::FLOWS_INCLUDED => units?.flows,
            _ => 1,
        };
        Some(previous.sequence.wrapping_add(step))
    }

    /// The numbers that a message takes up, by one way of counting: the first, and the one after the last. `None` if that depends
    /// on records that could not be counted.
    fn span(self, message: Message) -> Option<Span> {
        let (start, len) = match self {
            Self::UNITS_BEFORE => (message.sequence, message.units?.all),
            Self::FLOWS_BEFORE => (message.sequence, message.units?.flows),
            Self::UNITS_INCLUDED => {
                let len = message.units?.all;
                (message.sequence.wrapping_sub(len), len)
            }
            Self::FLOWS_INCLUDED => {
                let len = message.units?.flows;
                (message.sequence.wrapping_sub(len), len)
            }
            _ => (message.sequence, 1),
        };
        Some(Span { start, len })
    }

    /// All ways of counting by which `message` follows `previous`.
    fn that_fit(previous: Message, message: Message) -> Self {
        let fit = Self::ALL
            .into_iter()
            .filter(|way| way.expected(previous, message.units) == Some(message.sequence));
        fit.fold(Self(0), Self::either)
    }
}

/// What a message holds, in the format's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Units {
    pub(crate) all: u32,
    /// Without options data records.
    pub(crate) flows: u32,
}

impl Units {
    /// Where the format makes no difference.
    pub(crate) fn new(all: u32) -> Self {
        Self { all, flows: all }
    }
}

#[derive(Clone, Copy, Debug)]
struct Message {
    sequence: u32,
    units: Option<Units>,
}

/// Consecutive numbers of a sequence; it may wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn end(self) -> u32 {
        self.start.wrapping_add(self.len)
    }

    fn contains(self, other: Self) -> bool {
        let offset = other.start.wrapping_sub(self.start);
        offset < self.len && other.len <= self.len - offset
    }

    /// What is left before and after a part of it.
    fn without(self, part: Self) -> [Self; 2] {
        [
            Self {
                start: self.start,
                len: part.start.wrapping_sub(self.start),
            },
            Self {
                start: part.end(),
                len: self.end().wrapping_sub(part.end()),
            },
        ]
    }
}

/// Messages in a row that fit other ways of counting than the ones assumed.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    counting: Counting,
    in_a_row: u8,
    /// What the assumed way of counting makes of them: told only if the suspicion is dropped.
    lost: u32,
}

/// Where a sequence is: its last message, and how it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) sequence: u32,
    pub(crate) units: Option<Units>,
    pub(crate) counting: Counting,
    pub(crate) uptime_ms: Option<u32>,
}

/// Follows one sequence.
#[derive(Clone, Debug)]
#[repr(C)] // in front, what a message touches that is what was to come
pub(crate) struct SequenceTracker {
    uptime_ms: Option<u32>,
    previous: Option<Message>,
    /// As far as is known; messages that tell the ways apart narrow it down.
    counting: Counting,
    late_in_a_row: u8,
    suspicion: Option<Suspicion>,
    /// From here on everything has come, but for `gaps`.
    known_from: Option<u32>,
    /// Lost so far, newest last.
    gaps: Vec<Span>,
}

/// What a message's sequence number says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SequenceEvent {
    /// As expected, or nothing to expect from.
    #[default]
    InOrder,
    /// So many units are missing (FF-SQ-04); a wrap at 2^32 is none (FF-SQ-05).
    Lost(u32),
    /// A message that was counted as lost and comes late: so many units of it.
    Late(u32),
    /// A message that had come before.
    Duplicate,
    /// An earlier number, from before all that is remembered: late or a duplicate.
    OutOfOrder,
    /// The exporter started anew (FF-Q-06).
    Restart,
}

impl Default for SequenceTracker {
    fn default() -> Self {
        Self {
            previous: None,
            counting: Counting::UNITS_BEFORE,
            suspicion: None,
            uptime_ms: None,
            late_in_a_row: 0,
            known_from: None,
            gaps: Vec::new(),
        }
    }
}

impl SequenceTracker {
    /// Whether the exporter counts messages, against the standard.
    pub(crate) fn counts_messages(&self) -> bool {
        self.counting == Counting::MESSAGES
    }

    /// Takes in a message with number `sequence` that holds `units` (`None`: unknown).
    pub(crate) fn observe(
        &mut self,
        sequence: u32,
        units: Option<Units>,
        uptime_ms: Option<u32>,
    ) -> SequenceEvent {
        self.observe_within(MAX_PLAUSIBLE_LOSS, sequence, units, uptime_ms)
    }

    /// The same where up to `plausible` units may have been lost.
    #[inline]
    pub(crate) fn observe_within(
        &mut self,
        plausible: u32,
        sequence: u32,
        units: Option<Units>,
        uptime_ms: Option<u32>,
    ) -> SequenceEvent {
        let message = Message { sequence, units };
        if self.is_next(message) {
            // Nearly every message: it leaves nothing to be told apart.
            return self.accept(message, uptime_ms, SequenceEvent::InOrder);
        }
        self.tell_apart(plausible, message, uptime_ms)
    }

    /// Whether a message is what was to come, by the only way of counting that is left.
    fn is_next(&self, message: Message) -> bool {
        let expected = |previous| self.counting.expected(previous, message.units);
        self.counting.first() == self.counting
            && self.suspicion.is_none()
            && self.previous.and_then(expected) == Some(message.sequence)
    }

    /// Takes in a message that need not be the one that was to come.
    fn tell_apart(
        &mut self,
        plausible: u32,
        message: Message,
        uptime_ms: Option<u32>,
    ) -> SequenceEvent {
        let Message { sequence, units } = message;
        let fall_ms = match (self.uptime_ms, uptime_ms) {
            (Some(before), Some(now)) => before.saturating_sub(now),
            _ => 0,
        };
        let assumed = self.counting.first();
        let expected = self
            .previous
            .and_then(|previous| Some((previous, assumed.expected(previous, units)?)));
        let Some((previous, expected)) = expected else {
            self.remember_from(message);
            return self.accept(message, uptime_ms, SequenceEvent::InOrder);
        };
        let fitting = Counting::that_fit(previous, message);
        if !fitting.both(self.counting).is_empty() {
            // A message that fits both what is assumed and what is suspected decides nothing.
            let is_neutral = self
                .suspicion
                .is_some_and(|suspicion| !suspicion.counting.both(fitting).is_empty());
            if is_neutral {
                return self.accept(message, uptime_ms, SequenceEvent::InOrder);
            }
            self.counting = self.counting.both(fitting);
            let event = self.drop_suspicion(0);
            return self.accept(message, uptime_ms, event);
        }
        let ahead = sequence.wrapping_sub(expected);
        if !fitting.is_empty() {
            self.suspect(fitting, if ahead < plausible { ahead } else { 0 });
            return self.accept(message, uptime_ms, SequenceEvent::InOrder);
        }
        let is_late = ahead >= 1 << 31;
        if is_late && let Some(found) = self.fill_gap(message) {
            return SequenceEvent::Late(found);
        }
        let is_restart = if is_late {
            fall_ms > MAX_LATE_MS && sequence < MAX_PLAUSIBLE_LOSS
                || self.late_in_a_row >= MAX_LATE_IN_A_ROW
        } else {
            fall_ms > 0 || ahead > plausible
        };
        if is_restart {
            self.suspicion = None;
            self.remember_from(message);
            return self.accept(message, uptime_ms, SequenceEvent::Restart);
        }
        if is_late {
            self.late_in_a_row += 1;
            return if self.has_come(message, previous) {
                SequenceEvent::Duplicate
            } else {
                SequenceEvent::OutOfOrder
            };
        }
        if self.suspicion.is_some() {
            // Which numbers were lost depends on how they were counted.
            self.remember_from(message);
        } else if let Some(span) = assumed.span(message) {
            self.add_gap(Span {
                start: span.start.wrapping_sub(ahead),
                len: ahead,
            });
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

    /// Whether messages are under suspicion, whose loss is not told yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.suspicion.is_some()
    }

    /// What was lost so far never comes late.
    pub(crate) fn forget_gaps(&mut self) {
        self.gaps.clear();
        self.known_from = None;
    }

    /// Where it is, for another process to go on from; `None` if no message was observed.
    pub(crate) fn position(&self) -> Option<Position> {
        let previous = self.previous?;
        Some(Position {
            sequence: previous.sequence,
            units: previous.units,
            counting: self.counting,
            uptime_ms: self.uptime_ms,
        })
    }

    /// Goes on from there.
    pub(crate) fn at(position: Position) -> Self {
        Self {
            previous: Some(Message {
                sequence: position.sequence,
                units: position.units,
            }),
            counting: position.counting,
            uptime_ms: position.uptime_ms,
            ..Self::default()
        }
    }

    /// Forgets what came before a message.
    fn remember_from(&mut self, message: Message) {
        self.gaps.clear();
        self.known_from = self.counting.first().span(message).map(|span| span.start);
    }

    fn add_gap(&mut self, gap: Span) {
        if self.gaps.len() >= MAX_GAPS {
            self.known_from = Some(self.gaps.remove(0).end());
        }
        self.gaps.push(gap);
    }

    /// Takes a late message out of what was lost; how many units, if it was.
    fn fill_gap(&mut self, message: Message) -> Option<u32> {
        let span = self.counting.first().span(message)?;
        let index = self.gaps.iter().position(|gap| gap.contains(span))?;
        let left = self.gaps.remove(index).without(span);
        let left = left.into_iter().filter(|gap| gap.len > 0);
        self.gaps.splice(index..index, left);
        if self.gaps.len() > MAX_GAPS {
            self.known_from = Some(self.gaps.remove(0).end());
        }
        Some(span.len)
    }

    /// Whether all of a message, which is in no gap, is of what has come.
    fn has_come(&self, message: Message, previous: Message) -> bool {
        let counting = self.counting.first();
        let (Some(from), Some(span), Some(last)) = (
            self.known_from,
            counting.span(message),
            counting.span(previous),
        ) else {
            return false;
        };
        let known = Span {
            start: from,
            len: last.end().wrapping_sub(from),
        };
        known.len < 1 << 31
            && known.contains(span)
            && !self
                .gaps
                .iter()
                .any(|gap| gap.contains(Span { len: 0, ..span }))
    }

    fn suspect(&mut self, fitting: Counting, lost: u32) {
        let before = self.suspicion.map(|suspicion| Suspicion {
            counting: suspicion.counting.both(fitting),
            ..suspicion
        });
        let goes_on = before.filter(|suspicion| !suspicion.counting.is_empty());
        let counting = goes_on.map_or(fitting, |suspicion| suspicion.counting);
        let in_a_row = goes_on.map_or(0, |suspicion| suspicion.in_a_row) + 1;
        if in_a_row >= CONVINCING_IN_A_ROW {
            self.counting = counting;
            self.suspicion = None;
            self.gaps.clear();
            self.known_from = None;
            return;
        }
        let lost = before
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
        tracker.observe(sequence, Some(Units::new(10)), None)
    }

    #[test]
    fn gaps_wraps_and_late_messages() {
        // FF-NF-03, FF-NF-05, FF-SQ-05.
        let mut tracker = SequenceTracker::default();
        assert_eq!(observe(&mut tracker, u32::MAX - 4), SequenceEvent::InOrder);
        assert_eq!(observe(&mut tracker, 5), SequenceEvent::InOrder);
        assert_eq!(observe(&mut tracker, 35), SequenceEvent::Lost(20));
        // FF-SQ-04: the second half of what was lost comes late, and then again.
        assert_eq!(observe(&mut tracker, 25), SequenceEvent::Late(10));
        assert_eq!(observe(&mut tracker, 25), SequenceEvent::Duplicate);
        assert_eq!(observe(&mut tracker, 45), SequenceEvent::InOrder);
        assert_eq!(observe(&mut tracker, 15), SequenceEvent::Late(10));
        // Duplicates of the last message, of the first, and something from before it.
        assert_eq!(observe(&mut tracker, 45), SequenceEvent::Duplicate);
        assert_eq!(observe(&mut tracker, 55), SequenceEvent::InOrder);
        assert_eq!(
            observe(&mut tracker, u32::MAX - 4),
            SequenceEvent::Duplicate
        );
        assert_eq!(
            observe(&mut tracker, u32::MAX - 14),
            SequenceEvent::OutOfOrder
        );
        assert_eq!(observe(&mut tracker, 65), SequenceEvent::InOrder);
    }

    #[test]
    fn restarts_are_not_loss() {
        // FF-Q-06.
        let mut tracker = SequenceTracker::default();
        tracker.observe(5_000, Some(Units::new(1)), Some(900_000));
        assert_eq!(
            tracker.observe(0, Some(Units::new(1)), Some(1_000)),
            SequenceEvent::Restart
        );
        assert_eq!(
            tracker.observe(1, Some(Units::new(1)), Some(2_000)),
            SequenceEvent::InOrder
        );
        assert_eq!(
            tracker.observe(90_000_000, Some(Units::new(1)), Some(3_000)),
            SequenceEvent::Restart
        );
        // IPFIX has no uptime: a few late messages in a row tell.
        let events: Vec<_> = (0..5)
            .map(|n| tracker.observe(n, Some(Units::new(1)), None))
            .collect();
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
    fn a_late_message_is_no_restart() {
        // FF-NF-05, FF-Q-06: its uptime is a little smaller, as it was sent earlier.
        let mut tracker = SequenceTracker::default();
        let events = [(0, 5000), (20, 5020), (10, 5010), (30, 5030), (10, 5010)].map(
            |(sequence, uptime)| tracker.observe(sequence, Some(Units::new(10)), Some(uptime)),
        );
        assert_eq!(
            events,
            [
                SequenceEvent::InOrder,
                SequenceEvent::Lost(10),
                SequenceEvent::Late(10),
                SequenceEvent::InOrder,
                SequenceEvent::Duplicate
            ]
        );
    }

    #[test]
    fn gaps_are_bounded() {
        // FF-RB-04: the oldest are forgotten, and what was in them cannot be told from a duplicate any more.
        let mut tracker = SequenceTracker::default();
        for n in 0..100 {
            observe(&mut tracker, 20 * n);
            assert!(tracker.gaps.len() <= MAX_GAPS);
        }
        assert_eq!(observe(&mut tracker, 10), SequenceEvent::OutOfOrder);
        assert_eq!(observe(&mut tracker, 1970), SequenceEvent::Late(10));
        // A part of a gap, and the rest of it.
        tracker = SequenceTracker::default();
        observe(&mut tracker, 0);
        assert_eq!(observe(&mut tracker, 40), SequenceEvent::Lost(30));
        assert_eq!(observe(&mut tracker, 20), SequenceEvent::Late(10));
        assert_eq!(observe(&mut tracker, 10), SequenceEvent::Late(10));
        assert_eq!(observe(&mut tracker, 30), SequenceEvent::Late(10));
        assert_eq!(tracker.gaps, []);
    }

    #[test]
    fn uncounted_records_make_the_next_message_uncertain() {
        // FF-SQ-02.
        let mut tracker = SequenceTracker::default();
        tracker.observe(0, None, None);
        assert_eq!(
            tracker.observe(500, Some(Units::new(1)), None),
            SequenceEvent::InOrder
        );
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
                tracker.observe(sequence, Some(Units::new(records)), None),
                SequenceEvent::InOrder
            );
        }
        assert_eq!(tracker.counting.first(), Counting::UNITS_INCLUDED);
        assert_eq!(
            tracker.observe(200, Some(Units::new(9)), None),
            SequenceEvent::Lost(30)
        );
    }

    #[test]
    fn exporters_that_leave_options_data_out_are_recognised() {
        // softflowd's IPFIX, from a capture: (number, Flow Records, options data records).
        let mut tracker = SequenceTracker::default();
        let messages = [
            (16, 16, 1),
            (37, 21, 0),
            (59, 22, 0),
            (81, 22, 0),
            (97, 16, 0),
            (122, 25, 0),
            (144, 22, 0),
            (163, 19, 1),
            (187, 24, 0),
        ];
        for (sequence, flows, options) in messages {
            let units = Units {
                all: flows + options,
                flows,
            };
            assert_eq!(
                tracker.observe(sequence, Some(units), None),
                SequenceEvent::InOrder
            );
        }
        assert_eq!(tracker.counting, Counting::FLOWS_INCLUDED);
    }

    #[test]
    fn exporters_that_count_messages_are_recognised() {
        // FF-SQ-06.
        let mut tracker = SequenceTracker::default();
        for sequence in 0..10 {
            assert_eq!(
                tracker.observe(sequence, Some(Units::new(14)), None),
                SequenceEvent::InOrder
            );
        }
        assert!(tracker.counts_messages());
        assert_eq!(
            tracker.observe(12, Some(Units::new(14)), None),
            SequenceEvent::Lost(2)
        );
    }

    #[test]
    fn a_short_coincidence_is_loss_after_all() {
        // 20 records are missing before the second message, which happens to hold 30.
        let mut tracker = SequenceTracker::default();
        tracker.observe(0, Some(Units::new(10)), None);
        assert_eq!(
            tracker.observe(30, Some(Units::new(30)), None),
            SequenceEvent::InOrder
        );
        assert_eq!(
            tracker.observe(60, Some(Units::new(5)), None),
            SequenceEvent::Lost(20)
        );
        assert_eq!(
            tracker.observe(65, Some(Units::new(5)), None),
            SequenceEvent::InOrder
        );
    }
}
