//! Which template an Observation Domain uses (RFC 7011 section 8, RFC 3954 section 7).

use std::net::IpAddr;

use super::limits::Limits;
use super::neglect::{most_neglected, neglect};
use crate::prefetch::prefetch;
use crate::staging::PlanId;

/// The two ports of a Transport Session; its addresses are the exporter's and ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) exporter_port: u16,
    pub(crate) local_port: u16,
}

/// Sessions of one address remembered, per template id and for their options data; exporters whose source port changes make many.
pub(crate) const MAX_SESSIONS: usize = 64;

/// Templates of one domain at most, whatever the limits: places are numbers of 16 bits.
const MAX_TEMPLATES: usize = 1 << 16;

/// No template has this id (RFC 7011 section 3.4.1).
const GONE: u16 = 0;

/// A template as one session defined it: a cache line, for there may be many more than caches hold.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct SessionTemplate {
    pub(crate) session: Session,
    /// [`GONE`] where nothing is.
    template_id: u16,
    pub(crate) plan: PlanId,
    /// What the template counts as.
    fields: usize,
    /// Bit n: its field n + 1 is a Flow Key, as options data says (RFC 7011 section 4.4); 0: nothing was said.
    pub(crate) flow_keys: u64,
    /// When it first came as it is now, and when last.
    defined_ns: i64,
    pub(crate) refreshed_ns: i64,
    /// Data sets that were read with it, and when the last was received.
    pub(crate) sets: u64,
    pub(crate) used_ns: i64,
}

impl SessionTemplate {
    /// What is most neglected is forgotten first: a template is heard of by itself and by its data sets.
    fn neglect(&self, now_ns: i64) -> f64 {
        neglect(self.defined_ns, self.refreshed_ns.max(self.used_ns), now_ns)
    }
}

/// What a data set is decoded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Found(PlanId),
    Missing,
    Expired,
    /// Not defined by its own session, and differently by the others of that address (architecture section 2).
    Ambiguous,
}

impl Lookup {
    /// The plan, if one was found.
    pub(crate) fn plan(self) -> Option<PlanId> {
        match self {
            Self::Found(plan) => Some(plan),
            Self::Missing | Self::Expired | Self::Ambiguous => None,
        }
    }
}

/// What became of a template record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    New,
    /// The same again (FF-TL-08): the reference to its plan is to be released.
    Refreshed,
    /// Another definition (FF-TL-09): the reference to the old plan is to be released.
    Redefined(PlanId),
}

/// The templates of one Observation Domain, of all sessions of its address.
#[derive(Debug, Default)]
#[repr(C)] // at the end, what every data set touches
pub(crate) struct TemplateCache {
    /// Sessions that have defined templates of their own, and the address of ours that each sends to, if it is known.
    defining: Vec<(Session, Option<IpAddr>)>,
    /// Places of templates that are gone.
    free: Vec<u16>,
    /// The id of each template, in ascending order, and its place in `known`.
    by_id: Vec<(u16, u16)>,
    /// What all templates count as.
    fields: usize,
    /// Of the template that was the first in the first place.
    pub(super) first_id: u16,
    known: Vec<SessionTemplate>,
}

impl TemplateCache {
    /// Whether a session has defined templates of its own.
    pub(crate) fn is_defining(&self, session: Session) -> bool {
        self.defining.iter().any(|known| known.0 == session)
    }

    /// The address of ours that a session sent its templates to.
    pub(crate) fn local_address(&self, session: Session) -> Option<IpAddr> {
        let mut defining = self.defining.iter();
        defining.find(|known| known.0 == session)?.1
    }

    /// Templates known, over all sessions.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The places of the templates of one id, a session each: most are from one session.
    fn places(&self, template_id: u16) -> impl Iterator<Item = usize> + Clone {
        let start = self.by_id.partition_point(|&(id, _)| id < template_id);
        let of_id = self.by_id[start..].iter();
        of_id
            .take_while(move |&&(id, _)| id == template_id)
            .map(|&(_, place)| usize::from(place))
    }

    /// Asks for a template that is where most are, and the next, which may be its sister for IPv6.
    pub(crate) fn prefetch(&self, template_id: u16) {
        let guess = self.guess(template_id);
        let sisters = self.known.iter().skip(guess).take(2);
        sisters.for_each(prefetch);
    }

    /// Most exporters number their templates one after the other.
    fn guess(&self, template_id: u16) -> usize {
        usize::from(template_id.wrapping_sub(self.first_id))
    }

    /// Where the template that a session has defined itself is.
    #[inline]
    fn own(&self, session: Session, template_id: u16) -> Option<usize> {
        // Then the list of ids need not be looked at, which may be in no cache.
        let guess = self.guess(template_id);
        let guessed = self.known.get(guess);
        if guessed.is_some_and(|known| (known.session, known.template_id) == (session, template_id))
        {
            return Some(guess);
        }
        let mut places = self.places(template_id);
        places.find(|&place| self.known[place].session == session)
    }

    /// Where the template that all sessions of the address agree on is, as it was refreshed last.
    fn common(&self, template_id: u16) -> Result<usize, Lookup> {
        let mut places = self.places(template_id);
        let newest = (places.clone()).max_by_key(|&place| self.known[place].refreshed_ns);
        let newest = newest.ok_or(Lookup::Missing)?;
        let plan = |place: usize| self.known[place].plan;
        match places.all(|place| plan(place) == plan(newest)) {
            true => Ok(newest),
            false => Err(Lookup::Ambiguous),
        }
    }

    /// Where the template of an id is that gives way to one of another session, if there is room for no more.
    fn oldest_of_too_many(&self, template_id: u16) -> Option<usize> {
        let places = self.places(template_id);
        let oldest = (places.clone()).min_by_key(|&place| self.known[place].refreshed_ns);
        oldest.filter(|_| places.count() >= MAX_SESSIONS)
    }

    /// Where the template of a data set is: its own session's, else the one that all sessions of the address agree on.
    #[inline]
    fn find(
        &self,
        session: Session,
        template_id: u16,
        now_ns: i64,
        limits: &Limits,
    ) -> Result<usize, Lookup> {
        let found = match self.own(session, template_id) {
            Some(own) => own,
            None => self.common(template_id)?,
        };
        let age_ns = now_ns.saturating_sub(self.known[found].refreshed_ns);
        if limits.template_lifetime_ns > 0 && age_ns > limits.template_lifetime_ns {
            return Err(Lookup::Expired);
        }
        Ok(found)
    }

    /// The template of a data set.
    pub(crate) fn lookup(
        &self,
        session: Session,
        template_id: u16,
        now_ns: i64,
        limits: &Limits,
    ) -> Lookup {
        match self.find(session, template_id, now_ns, limits) {
            Ok(found) => Lookup::Found(self.known[found].plan),
            Err(why) => why,
        }
    }

    /// The template of a data set that is now read with it (FF-TL-11).
    pub(crate) fn take(
        &mut self,
        session: Session,
        template_id: u16,
        now_ns: i64,
        limits: &Limits,
    ) -> Lookup {
        match self.find(session, template_id, now_ns, limits) {
            Ok(found) => {
                let template = &mut self.known[found];
                template.sets += 1;
                template.used_ns = now_ns;
                Lookup::Found(template.plan)
            }
            Err(why) => why,
        }
    }

    /// Remembers a template. One id space for templates and options templates (FF-IX-12). Plans of templates that had to go to
    /// stay within the bounds are appended to `evicted`.
    pub(crate) fn store(
        &mut self,
        session: Session,
        template_id: u16,
        (plan, fields): (PlanId, usize),
        now_ns: i64,
        limits: &Limits,
        evicted: &mut Vec<PlanId>,
    ) -> Stored {
        let own = self.own_mut(session, template_id);
        if let Some(same) = own.filter(|known| known.plan == plan) {
            same.refreshed_ns = now_ns;
            return Stored::Refreshed;
        }
        // Before the new one is among them: it would be as good as any other of its age.
        self.make_room(session, template_id, fields, now_ns, limits, evicted);
        if let Some(own) = self.own(session, template_id) {
            let known = &mut self.known[own];
            self.fields = self.fields - known.fields + fields;
            let before = std::mem::replace(&mut known.plan, plan);
            (known.fields, known.flow_keys) = (fields, 0);
            (known.defined_ns, known.refreshed_ns) = (now_ns, now_ns);
            return Stored::Redefined(before);
        }
        if !self.is_defining(session) {
            if self.defining.len() >= MAX_SESSIONS {
                self.defining.remove(0);
            }
            self.defining.reserve_exact(1);
            self.defining.push((session, None));
        }
        self.fields += fields;
        let new = SessionTemplate {
            session,
            template_id,
            plan,
            fields,
            flow_keys: 0,
            defined_ns: now_ns,
            refreshed_ns: now_ns,
            sets: 0,
            used_ns: 0,
        };
        match self.oldest_of_too_many(template_id) {
            Some(oldest) => {
                let gone = std::mem::replace(&mut self.known[oldest], new);
                evicted.push(gone.plan);
                self.fields -= gone.fields;
            }
            None => {
                let place = match self.free.pop() {
                    Some(place) => {
                        self.known[usize::from(place)] = new;
                        place
                    }
                    None => {
                        if self.known.is_empty() {
                            self.first_id = template_id;
                        }
                        self.known.push(new);
                        (self.known.len() - 1) as u16
                    }
                };
                let after = self.by_id.partition_point(|&(id, _)| id <= template_id);
                self.by_id.insert(after, (template_id, place));
            }
        }
        Stored::New
    }

    /// Evicts until there is room for a template of so many fields, in place of what the session has under this id.
    fn make_room(
        &mut self,
        session: Session,
        template_id: u16,
        fields: usize,
        now_ns: i64,
        limits: &Limits,
        evicted: &mut Vec<PlanId>,
    ) {
        let most = limits.templates_per_domain.min(MAX_TEMPLATES);
        while !self.by_id.is_empty() {
            let own = self.own(session, template_id);
            let own_fields = own.map_or(0, |own| self.known[own].fields);
            let is_room = own.is_some() || self.len() < most;
            let fields_after = self.fields - own_fields + fields;
            if is_room && fields_after <= limits.template_fields_per_domain {
                return;
            }
            self.evict(now_ns, evicted);
        }
    }

    /// Drops the sixteenth part of the templates, those that are neglected most.
    fn evict(&mut self, now_ns: i64, evicted: &mut Vec<PlanId>) {
        let mut neglects: Vec<f64> = self.neglects(now_ns).collect();
        if let Some((mut count, horizon)) = most_neglected(&mut neglects) {
            self.evict_beyond(horizon, &mut count, now_ns, evicted);
        }
    }

    /// How much each template is neglected.
    pub(super) fn neglects(&self, now_ns: i64) -> impl Iterator<Item = f64> {
        self.iter().map(move |(_, known)| known.neglect(now_ns))
    }

    /// Drops the templates that are neglected so much or more, `count` at most, of which those that are dropped are taken.
    pub(super) fn evict_beyond(
        &mut self,
        horizon: f64,
        count: &mut usize,
        now_ns: i64,
        evicted: &mut Vec<PlanId>,
    ) {
        self.by_id.retain(|&(_, place)| {
            let known = &mut self.known[usize::from(place)];
            let goes = *count > 0 && known.neglect(now_ns) >= horizon;
            if goes {
                *count -= 1;
                known.template_id = GONE;
                self.fields -= known.fields;
                self.free.push(place);
                evicted.push(known.plan);
            }
            !goes
        });
    }

    /// Notes where a session that has defined templates sends them.
    pub(crate) fn note_address(&mut self, session: Session, local_address: Option<IpAddr>) {
        let mut defining = self.defining.iter_mut();
        if let Some(known) = defining.find(|known| known.0 == session) {
            known.1 = local_address;
        }
    }

    /// An earlier process has read so many data sets with a template.
    pub(crate) fn resume_use(
        &mut self,
        session: Session,
        template_id: u16,
        sets: u64,
        used_ns: i64,
    ) {
        if let Some(known) = self.own_mut(session, template_id)
            && known.used_ns <= used_ns
        {
            (known.sets, known.used_ns) = (sets, used_ns);
        }
    }

    /// The plan of the template that a session has defined itself.
    pub(crate) fn own_plan(&self, session: Session, template_id: u16) -> Option<PlanId> {
        let own = self.own(session, template_id)?;
        Some(self.known[own].plan)
    }

    /// A template that a session has defined itself.
    pub(crate) fn own_mut(
        &mut self,
        session: Session,
        template_id: u16,
    ) -> Option<&mut SessionTemplate> {
        let own = self.own(session, template_id)?;
        Some(&mut self.known[own])
    }

    /// Whether a session has defined this template itself, and it may still be used.
    pub(crate) fn is_in_use(
        &self,
        session: Session,
        template_id: u16,
        now_ns: i64,
        limits: &Limits,
    ) -> bool {
        self.own(session, template_id).is_some()
            && self.lookup(session, template_id, now_ns, limits) != Lookup::Expired
    }

    /// Every template with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &SessionTemplate)> {
        let known = |place: u16| &self.known[usize::from(place)];
        (self.by_id.iter()).map(move |&(template_id, place)| (template_id, known(place)))
    }

    /// All plans that its templates refer to.
    pub(super) fn plans(&self) -> impl Iterator<Item = PlanId> + '_ {
        self.iter().map(|(_, known)| known.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(exporter_port: u16) -> Session {
        Session {
            exporter_port,
            local_port: 4739,
        }
    }

    #[test]
    fn other_sessions_of_the_address_help_if_they_agree() {
        // Architecture section 2; FF-TL-15, FF-Q-01.
        let limits = Limits::default();
        let mut cache = TemplateCache::default();
        let mut store = |port, plan| {
            cache.store(
                session(port),
                256,
                (PlanId(plan), 1),
                0,
                &limits,
                &mut Vec::new(),
            )
        };
        assert_eq!(store(1000, 1), Stored::New);
        assert_eq!(store(1000, 1), Stored::Refreshed);
        assert_eq!(store(2000, 1), Stored::New);
        assert_eq!(
            cache.lookup(session(3000), 256, 0, &limits),
            Lookup::Found(PlanId(1))
        );
        assert_eq!(
            cache.store(
                session(2000),
                256,
                (PlanId(2), 1),
                0,
                &limits,
                &mut Vec::new()
            ),
            Stored::Redefined(PlanId(1))
        );
        assert_eq!(
            cache.lookup(session(3000), 256, 0, &limits),
            Lookup::Ambiguous
        );
        assert_eq!(
            cache.lookup(session(1000), 256, 0, &limits),
            Lookup::Found(PlanId(1))
        );
        assert_eq!(
            cache.lookup(session(2000), 256, 0, &limits),
            Lookup::Found(PlanId(2))
        );
        assert_eq!(
            cache.lookup(session(1000), 257, 0, &limits),
            Lookup::Missing
        );
    }

    #[test]
    fn templates_expire_unless_refreshed() {
        // FF-V9-06, FF-TL-10.
        let limits = Limits {
            template_lifetime_ns: 10,
            ..Limits::default()
        };
        let mut cache = TemplateCache::default();
        cache.store(session(1), 256, (PlanId(1), 1), 0, &limits, &mut Vec::new());
        assert_eq!(
            cache.lookup(session(1), 256, 10, &limits),
            Lookup::Found(PlanId(1))
        );
        assert_eq!(cache.lookup(session(1), 256, 11, &limits), Lookup::Expired);
        cache.store(
            session(1),
            256,
            (PlanId(1), 1),
            11,
            &limits,
            &mut Vec::new(),
        );
        assert_eq!(
            cache.lookup(session(1), 256, 21, &limits),
            Lookup::Found(PlanId(1))
        );
    }

    #[test]
    fn the_oldest_templates_go_first() {
        // FF-TL-14.
        let limits = Limits {
            templates_per_domain: 100,
            ..Limits::default()
        };
        let mut cache = TemplateCache::default();
        let mut evicted = Vec::new();
        for id in 0..1000u16 {
            cache.store(
                session(1),
                256 + id,
                (PlanId(id.into()), 1),
                id.into(),
                &limits,
                &mut evicted,
            );
        }
        assert!(cache.len() <= 100);
        assert_eq!(cache.len() + evicted.len(), 1000);
        assert_eq!(
            cache.lookup(session(1), 256, 1000, &limits),
            Lookup::Missing
        );
        assert_eq!(
            cache.lookup(session(1), 1255, 1000, &limits),
            Lookup::Found(PlanId(999))
        );
    }

    #[test]
    fn no_plan_is_forgotten_or_kept_twice() {
        // FF-TL-09, FF-TL-14, FF-RB-04: templates that come, change and have to go, of few ids and many sessions, or the other way round.
        // Each plan that was stored is in the cache once, or was given back once.
        store_at_random(100, 8);
        store_at_random(1, 300);
    }

    /// Each id in order first, as exporters number their templates, then any.
    fn store_at_random(sessions: u64, ids: u64) {
        let limits = Limits {
            templates_per_domain: 200,
            template_fields_per_domain: 1000,
            ..Limits::default()
        };
        let mut cache = TemplateCache::default();
        let mut given_back = Vec::new();
        let mut random = 1_u64;
        let mut below = |bound: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((random >> 33) % bound) as u16
        };
        for plan in 0..20_000 {
            let (port, any_id, fields) = (below(sessions), 256 + below(ids), 1 + below(9));
            let template_id = match (plan as u64) < ids {
                true => 256 + plan as u16,
                false => any_id,
            };
            let stored = cache.store(
                session(port),
                template_id,
                (PlanId(plan), usize::from(fields)),
                plan as i64,
                &limits,
                &mut given_back,
            );
            if let Stored::Redefined(before) = stored {
                given_back.push(before);
            }
            let found = cache.take(session(port), template_id, plan as i64, &limits);
            assert_eq!(found, Lookup::Found(PlanId(plan)));
            let (port, template_id) = (below(sessions), 256 + below(ids));
            let mut others = cache.iter();
            let other = others.find(|&(id, of)| (id, of.session) == (template_id, session(port)));
            let other = other.map(|(_, known)| known.plan);
            assert_eq!(cache.own_plan(session(port), template_id), other);
            let known: Vec<_> = cache.iter().collect();
            assert!(known.is_sorted_by_key(|(id, _)| *id));
            let fields: usize = known.iter().map(|(_, known)| known.fields).sum();
            assert_eq!((cache.len(), cache.fields), (known.len(), fields));
            assert!(known.len() <= 200 && fields <= 1000 && cache.known.len() <= 200);
            assert_eq!(known.len() + given_back.len(), plan + 1);
        }
        let all = cache.plans().chain(given_back.iter().copied());
        let mut all: Vec<_> = all.map(|plan| plan.0).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..20_000));
    }
}
