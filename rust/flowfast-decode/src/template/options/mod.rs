//! What options data teaches about Flow Records (spec 2.9, RFC 7011 section 4, RFC 3954 section 6): sampling rates, names, and when
//! the exporter started.

mod fact;
mod rate;
mod report;
mod state;

use foldhash::quality::RandomState;

use super::cache::{MAX_SESSIONS, Session};
use crate::kernel::Tile;

use state::Effect;

pub(crate) use fact::{Naming, OptionsFields, RateKey, Subject};
pub(crate) use rate::{RateFields, rate_as_integer};
#[cfg(test)]
pub(crate) use report::ReportKey;
pub(crate) use report::{Report, Total};
pub(crate) use state::OptionsState;

/// What each session of an address has taught about one Observation Domain.
#[derive(Debug, Default)]
pub(crate) struct SessionOptions {
    /// Most domains have one.
    sessions: Vec<(Session, OptionsState)>,
    /// All sessions have taught the same.
    alike: bool,
    hasher: RandomState,
}

/// What became of facts that were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Some are new.
    pub(crate) changes: bool,
    /// So many are new, and there is no room for them.
    pub(crate) refused: u64,
}

impl SessionOptions {
    /// What a session taught itself; else, if it `may_borrow`, what all others of the address agree on.
    pub(super) fn of(
        &self,
        session: Session,
        may_borrow: impl Fn() -> bool,
    ) -> Option<&OptionsState> {
        let own = self.sessions.iter().find(|(known, _)| *known == session);
        let other = || self.sessions.first().filter(|_| self.alike && may_borrow());
        own.or_else(other).map(|(_, state)| state)
    }

    /// Whether any session has taught a sampling rate.
    pub(super) fn tell_rates(&self) -> bool {
        self.sessions.iter().any(|(_, state)| state.has_rates())
    }

    /// Octets that all of it takes, about.
    pub(crate) fn octets(&self) -> usize {
        self.sessions.iter().map(|(_, state)| state.octets()).sum()
    }

    /// Octets that what a session taught takes, about.
    pub(crate) fn octets_of(&self, session: Session) -> usize {
        let own = self.sessions.iter().find(|(known, _)| *known == session);
        own.map_or(0, |(_, state)| state.octets())
    }

    /// What `learn` would do. `room`: octets that a session may take.
    pub(crate) fn foresee(
        &self,
        session: Session,
        subject: Subject,
        fields: &OptionsFields,
        tile: &Tile<'_>,
        room: usize,
    ) -> Outcome {
        let nothing = OptionsState::default();
        let own = self.sessions.iter().find(|(known, _)| *known == session);
        let state = own.map_or(&nothing, |(_, state)| state);
        let mut outcome = Outcome::default();
        fields.each_fact(subject, tile, |fact| match state.effect(&fact, room) {
            Effect::None => {}
            Effect::Change => outcome.changes = true,
            Effect::Refusal => outcome.refused += 1,
        });
        outcome
    }

    /// Takes in options records of a session.
    pub(crate) fn learn(
        &mut self,
        session: Session,
        subject: Subject,
        fields: &OptionsFields,
        tile: &Tile<'_>,
        room: usize,
    ) -> Outcome {
        let known = self
            .sessions
            .iter()
            .position(|(known, _)| *known == session);
        let index = known.unwrap_or_else(|| {
            if self.sessions.len() >= MAX_SESSIONS {
                self.sessions.remove(0);
            }
            // Most domains have one session, and there may be very many domains.
            self.sessions.reserve_exact(1);
            self.sessions.push((session, OptionsState::default()));
            self.sessions.len() - 1
        });
        let state = &mut self.sessions[index].1;
        let mut outcome = Outcome::default();
        fields.each_fact(subject, tile, |fact| match state.effect(&fact, room) {
            Effect::None => {}
            Effect::Change => {
                state.take(&fact, &self.hasher);
                outcome.changes = true;
            }
            Effect::Refusal => outcome.refused += 1,
        });
        self.alike = self
            .sessions
            .windows(2)
            .all(|pair| pair[0].1.is_like(&pair[1].1));
        outcome
    }
}
