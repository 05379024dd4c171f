//! Where an Exporter is in its stream of messages: what comes next, under which sequence number.

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A message with all Templates.
    Templates,
    /// At most so many data messages of full size until something else comes.
    Data(u64),
    /// One data message with the remaining flows, fewer than a full one has.
    Remainder(usize),
    /// Nothing more.
    End,
}

/// The place of one Exporter in its stream.
#[derive(Clone, Debug)]
pub(super) struct Course {
    records_per_message: u64,
    flows_left: u64,
    /// Between the messages with Templates; `None` if the format has no templates.
    refresh_datagrams: Option<u64>,
    datagrams_to_templates: u64,
    sequence: u32,
}

impl Course {
    /// At the start: templates are due at once (RFC 7011 section 8.1, RFC 3954 section 7).
    pub(super) fn new(
        records_per_message: usize,
        flows: u64,
        refresh_datagrams: Option<u64>,
    ) -> Self {
        Self {
            records_per_message: records_per_message as u64,
            flows_left: flows,
            refresh_datagrams,
            datagrams_to_templates: 0,
            sequence: 0,
        }
    }

    /// What comes next.
    pub(super) fn turn(&self) -> Turn {
        if self.flows_left == 0 {
            return Turn::End;
        }
        let to_templates = match self.refresh_datagrams {
            Some(_) if self.datagrams_to_templates == 0 => return Turn::Templates,
            Some(_) => self.datagrams_to_templates,
            None => u64::MAX,
        };
        match self.flows_left / self.records_per_message {
            0 => Turn::Remainder(self.flows_left as usize),
            full => Turn::Data(full.min(to_templates)),
        }
    }

    /// Flows in the next so many data messages.
    pub(super) fn flows_in(&self, datagrams: u64) -> u64 {
        datagrams
            .saturating_mul(self.records_per_message)
            .min(self.flows_left)
    }

    /// Goes past a message with Templates; returns its sequence number.
    pub(super) fn pass_templates(&mut self, sequence_step: u32) -> u32 {
        self.datagrams_to_templates = self.refresh_datagrams.unwrap_or(0);
        self.pass(sequence_step)
    }

    /// Goes past a message with so many flows; returns its sequence number.
    pub(super) fn pass_data(&mut self, flows: u64, sequence_step: u32) -> u32 {
        self.flows_left -= flows;
        self.datagrams_to_templates = self.datagrams_to_templates.saturating_sub(1);
        self.pass(sequence_step)
    }

    /// Sequence numbers count modulo 2^32.
    fn pass(&mut self, sequence_step: u32) -> u32 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(sequence_step);
        sequence
    }
}

/// Each Exporter's part of `flows`: whole messages dealt out in turn, so that only the last message of all
/// is not full.
pub(super) fn deal(flows: u64, records_per_message: usize, exporters: usize) -> Vec<u64> {
    let (records, exporters) = (records_per_message as u64, exporters as u64);
    let messages = flows.div_ceil(records);
    let missing_in_last = messages * records - flows;
    (0..exporters)
        .map(|exporter| {
            let own = messages / exporters + u64::from(exporter < messages % exporters);
            let has_last = messages > 0 && (messages - 1) % exporters == exporter;
            own * records - if has_last { missing_in_last } else { 0 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deals_every_flow_once() {
        for (flows, expected) in [
            (0, [0, 0, 0]),
            (1, [1, 0, 0]),
            (30, [30, 0, 0]),
            (61, [30, 30, 1]),
            (95, [35, 30, 30]),
            (180, [60, 60, 60]),
        ] {
            assert_eq!(deal(flows, 30, 3), expected, "{flows}");
        }
    }

    #[test]
    fn templates_come_first_and_again() {
        let mut course = Course::new(10, 35, Some(2));
        let mut turns = Vec::new();
        loop {
            let turn = course.turn();
            turns.push(turn);
            match turn {
                Turn::Templates => course.pass_templates(0),
                Turn::Data(_) => course.pass_data(10, 10),
                Turn::Remainder(flows) => course.pass_data(flows as u64, flows as u32),
                Turn::End => break,
            };
        }
        let (templates, end) = (Turn::Templates, Turn::End);
        let data = Turn::Data;
        assert_eq!(
            turns,
            [
                templates,
                data(2),
                data(1),
                templates,
                data(1),
                Turn::Remainder(5),
                end
            ]
        );
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut course = Course::new(1, 10, None);
        course.sequence = u32::MAX;
        assert_eq!(course.pass_data(1, 3), u32::MAX);
        assert_eq!(course.pass_data(1, 3), 2);
    }
}
