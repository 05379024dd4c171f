//! What a journal keeps of a decoder: what taught it, and the sets that it could not decode.

use std::net::IpAddr;
use std::ops::Range;

use super::notes::notes;
use super::{Datagram, Decoder, Intake};
use crate::batch::{MessageContext, unmapped};
use crate::error::{SetLoss, Warning};
use crate::template::RecordKind;
use crate::template::cache::Lookup;
use crate::template::domain::{Awaited, WaitingSet};
use crate::template::memory::{Lesson, Taught, message_of_set};

/// One set of a message, as a message of its own: with its header and as if it had come alone.
#[derive(Clone, Debug)]
pub struct KeptMessage {
    /// Source address of the datagram that it came in.
    pub exporter: IpAddr,
    /// Source UDP port.
    pub exporter_port: u16,
    /// UDP port it arrived on.
    pub local_port: u16,
    /// When it was received, nanoseconds since the UNIX epoch.
    pub received_ns: i64,
    /// The message.
    pub payload: Box<[u8]>,
}

impl KeptMessage {
    /// As a datagram.
    pub fn datagram(&self) -> Datagram<'_> {
        Datagram {
            exporter: self.exporter,
            exporter_port: self.exporter_port,
            local_port: self.local_port,
            received_ns: self.received_ns,
            payload: &self.payload,
        }
    }

    fn of_lesson(exporter: IpAddr, lesson: &Lesson) -> Self {
        Self {
            exporter,
            exporter_port: lesson.session.exporter_port,
            local_port: lesson.session.local_port,
            received_ns: lesson.received_ns,
            payload: lesson.message.clone(),
        }
    }
}

impl From<WaitingSet> for KeptMessage {
    fn from(set: WaitingSet) -> Self {
        Self {
            exporter: unmapped(set.context.source),
            exporter_port: set.session.exporter_port,
            local_port: set.session.local_port,
            received_ns: set.context.received_ns,
            payload: set.message,
        }
    }
}

impl Decoder {
    /// Templates and options data in effect, and notes on sequences, as messages to [`Self::learn`] from, in the order in which they
    /// first came. Only a decoder that is `journaled` remembers them.
    pub fn state(&mut self) -> Vec<KeptMessage> {
        let (now_ns, limits) = (self.now_ns, self.limits);
        self.memory_octets = 0;
        let mut messages = Vec::new();
        for (_, domain) in self.domains.iter_mut() {
            let templates = &domain.templates;
            domain.memory.retain(|session, template_id| {
                templates.is_in_use(session, template_id, now_ns, &limits)
            });
            self.memory_octets += domain.memory.octets();
            let exporter = unmapped(domain.key.exporter);
            let lessons = domain.memory.lessons();
            messages.extend(lessons.map(|lesson| KeptMessage::of_lesson(exporter, lesson)));
            messages.extend(notes(domain, now_ns, &limits));
        }
        messages
    }

    /// Learns from one of the messages of [`Self::state`], to go on where that decoder was: no row comes of it, and it is not counted.
    pub fn learn(&mut self, datagram: &Datagram<'_>) {
        self.take_in_as(Intake::Lesson, datagram);
    }

    /// Learns what a datagram teaches that an earlier process has received, and follows its sequence, so that what is received next
    /// shows what was missed between: no row comes of it, and it is not counted.
    pub fn recall(&mut self, datagram: &Datagram<'_>) {
        self.take_in_as(Intake::Recalled, datagram);
    }

    /// What was learnt so far is an earlier process's: what is received next shows what was missed between.
    pub fn resume(&mut self) {
        for (_, domain) in self.domains.iter_mut() {
            domain.streams.resume();
        }
    }

    fn take_in_as(&mut self, intake: Intake, datagram: &Datagram<'_>) {
        self.intake = intake;
        if intake != Intake::Lesson || !self.learn_note(datagram) {
            let _ = self.take_in(datagram); // what cannot be read teaches nothing
        }
        self.intake = Intake::Received;
    }

    /// Whether the current datagram is only learnt from.
    pub(crate) fn learns(&self) -> bool {
        self.intake != Intake::Received
    }

    /// Gives up waiting: sets that lack their template are for [`Self::take_late`], those that lack common properties become rows
    /// without.
    pub fn give_up_waiting(&mut self) {
        self.expire_waiting(true);
    }

    /// Sets that waited in vain, each a message of its own; of a decoder that is `journaled`.
    pub fn take_late(&mut self) -> Vec<KeptMessage> {
        self.late_octets = 0;
        std::mem::take(&mut self.late)
    }

    /// No template came for a set: it is for the journal, else it is lost. Without their common properties records are decoded all the
    /// same.
    pub(super) fn give_up(&mut self, account: usize, set: WaitingSet) {
        if let Awaited::Properties { plan, .. } = set.awaits {
            return self.recover(account, plan, &set);
        }
        let (octets, cost) = (set.body().len(), set.cost());
        if !self.journaled || self.late_octets + cost > self.limits.waiting_octets {
            return self.discard_set_of(account, SetLoss::NoTemplate, octets);
        }
        self.ledger.at(account).sets_late += 1;
        self.stats.sets_late += 1;
        self.stats.set_octets_late += octets as u64;
        self.late_octets += cost;
        self.late.push(set.into());
    }

    /// Whether a set is to be read: all are, but of lessons only options data.
    pub(crate) fn reads(&self, found: Lookup) -> bool {
        self.intake != Intake::Lesson
            || matches!(found, Lookup::Found(plan) if self.kind(plan) == Some(RecordKind::Options))
    }

    /// Counts a warning, unless it was counted when the datagram first came.
    pub(crate) fn warn(&mut self, warning: Warning) {
        if !self.learns() {
            self.stats.warn(warning);
        }
    }

    /// Remembers what the set at `set` in a message taught, if that is wanted.
    pub(crate) fn remember(
        &mut self,
        context: &MessageContext,
        payload: &[u8],
        set: Range<usize>,
        taught: Taught,
    ) {
        let limits = &self.limits;
        let Some(domain) = self.domains.get_mut(context.domain_index) else {
            return;
        };
        if !self.journaled {
            return;
        }
        let before = domain.memory.octets();
        let elsewhere = self.memory_octets - before;
        let is_kept = domain.memory.remember(
            context.session,
            context.received_ns,
            taught,
            message_of_set(context.format, payload, set),
            limits
                .memory_octets_per_domain
                .min(limits.memory_octets.saturating_sub(elsewhere)),
        );
        self.memory_octets = elsewhere + domain.memory.octets();
        if !is_kept {
            self.stats.warn(Warning::StateNotKept);
        }
    }
}
