//! What options data teaches about Flow Records (spec 2.9, RFC 7011 section 4, RFC 3954 section 6): sampling rates, names, the
//! direction of biflows, and when the exporter started.

mod fact;
mod objects;
mod of_templates;
mod properties;
mod rate;
mod report;
mod state;

use foldhash::quality::RandomState;

use super::cache::Session;
use super::sessions::BySession;
use crate::batch::MessageContext;
use crate::kernel::Tile;

use fact::Fact;
use state::Effect;

pub(crate) use fact::{Naming, OptionsFields, RateKey, Subject};
pub(crate) use objects::{FieldObject, MibObject, mib_fields};
pub(crate) use properties::property_ids;
pub(crate) use rate::{RateFields, rate_as_integer};
#[cfg(test)]
pub(crate) use report::ReportKey;
pub(crate) use report::{Report, Total};
pub(crate) use state::OptionsState;

/// What each session of an address has taught about one Observation Domain. It is asked of every message, so that nothing was taught is
/// told by one word.
#[derive(Debug, Default)]
pub(crate) struct SessionOptions(Option<Box<Taught>>);

#[derive(Debug, Default)]
struct Taught {
    sessions: BySession<OptionsState>,
    /// All sessions have taught the same.
    alike: bool,
    /// Some have taught common properties since that was last asked.
    new_properties: bool,
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
        let Taught {
            sessions, alike, ..
        } = &**self.0.as_ref()?;
        let other = || (sessions.values().next()).filter(|_| *alike && may_borrow());
        sessions.get(session).or_else(other)
    }

    fn states(&self) -> impl Iterator<Item = &OptionsState> {
        self.0.iter().flat_map(|taught| taught.sessions.values())
    }

    fn of_session(&self, session: Session) -> Option<&OptionsState> {
        self.0.as_ref()?.sessions.get(session)
    }

    /// Whether any session has taught a sampling rate.
    pub(super) fn tell_rates(&self) -> bool {
        self.states().any(OptionsState::has_rates)
    }

    /// Whether common properties have come, or others of an id, since this was last asked.
    pub(crate) fn take_new_properties(&mut self) -> bool {
        let taught = self.0.as_mut();
        taught.is_some_and(|taught| std::mem::take(&mut taught.new_properties))
    }

    /// Octets that all of it takes, about.
    pub(crate) fn octets(&self) -> usize {
        self.states().map(OptionsState::octets).sum()
    }

    /// Octets that what a session taught takes, about.
    pub(crate) fn octets_of(&self, session: Session) -> usize {
        self.of_session(session).map_or(0, OptionsState::octets)
    }

    /// What `learn` would do. `room`: octets that a session may take.
    pub(crate) fn foresee(
        &self,
        context: &MessageContext,
        subject: Subject,
        fields: &OptionsFields,
        tile: &Tile<'_>,
        room: usize,
    ) -> Outcome {
        let nothing = OptionsState::default();
        let state = self.of_session(context.session).unwrap_or(&nothing);
        let mut outcome = Outcome::default();
        fields.each_fact(subject, tile, context.domain, |fact| {
            match state.effect(&fact, room) {
                Effect::None => {}
                Effect::Change => outcome.changes = true,
                Effect::Refusal => outcome.refused += 1,
            }
        });
        outcome
    }

    /// Takes in options records of a session.
    pub(crate) fn learn(
        &mut self,
        context: &MessageContext,
        subject: Subject,
        fields: &OptionsFields,
        tile: &Tile<'_>,
        room: usize,
    ) -> Outcome {
        let taught = self.0.get_or_insert_default();
        let state = (taught.sessions).get_or_insert_with(context.session, OptionsState::default);
        let mut outcome = Outcome::default();
        fields.each_fact(subject, tile, context.domain, |fact| {
            match state.effect(&fact, room) {
                Effect::None => {}
                Effect::Change => {
                    state.take(&fact, &taught.hasher);
                    taught.new_properties |= matches!(fact, Fact::Properties(..));
                    outcome.changes = true;
                }
                Effect::Refusal => outcome.refused += 1,
            }
        });
        taught.compare();
        outcome
    }

    /// A session gave a template id to something else: what it said of the fields does not hold any more. Returns the octets that
    /// took.
    pub(crate) fn forget_objects(&mut self, session: Session, template_id: u16) -> usize {
        let Some(taught) = &mut self.0 else {
            return 0;
        };
        let Some(state) = taught.sessions.get_mut(session) else {
            return 0;
        };
        let before = state.octets();
        state.forget_objects(template_id, &taught.hasher);
        let freed = before - state.octets();
        if freed > 0 {
            taught.compare();
        }
        freed
    }
}

impl Taught {
    fn compare(&mut self) {
        let (states, others) = (self.sessions.values(), self.sessions.values().skip(1));
        self.alike = states.zip(others).all(|(one, other)| one.is_like(other));
    }
}
