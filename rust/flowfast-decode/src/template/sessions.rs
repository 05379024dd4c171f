//! What belongs to each Transport Session of an address.

use super::cache::{MAX_SESSIONS, Session};

/// A value for each session, [`MAX_SESSIONS`] at most: beyond it the session heard of first goes (FF-RB-04).
#[derive(Clone, Debug)]
pub(crate) struct BySession<T>(Vec<(Session, T)>);

impl<T> Default for BySession<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> BySession<T> {
    pub(crate) fn get(&self, session: Session) -> Option<&T> {
        let mut entries = self.0.iter();
        entries
            .find(|entry| entry.0 == session)
            .map(|entry| &entry.1)
    }

    pub(crate) fn get_mut(&mut self, session: Session) -> Option<&mut T> {
        let mut entries = self.0.iter_mut();
        entries
            .find(|entry| entry.0 == session)
            .map(|entry| &mut entry.1)
    }

    /// The session's value, made if it is new.
    pub(crate) fn get_or_insert_with(
        &mut self,
        session: Session,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        let known = self.0.iter().position(|entry| entry.0 == session);
        let index = known.unwrap_or_else(|| {
            if self.0.len() >= MAX_SESSIONS {
                self.0.remove(0);
            }
            // Most domains have one session, and there may be very many domains.
            self.0.reserve_exact(1);
            self.0.push((session, make()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// All sessions and their values; those heard of first come first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Session, T)> {
        self.0.iter()
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut (Session, T)> {
        self.0.iter_mut()
    }

    /// Those heard of first come first.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|entry| &entry.1)
    }
}
