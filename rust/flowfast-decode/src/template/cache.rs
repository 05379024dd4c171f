//! Which template an Observation Domain uses (RFC 7011 section 8, RFC 3954 section 7), and everything else that is known of it.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::options::{OptionsState, SessionOptions};
use crate::batch::{FormatCode, MessageContext, Run};
use crate::sequence::SequenceTracker;
use crate::staging::PlanId;

/// The two ports of a Transport Session; its addresses are the exporter's and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) exporter_port: u16,
    pub(crate) local_port: u16,
}

/// Names the state of one Observation Domain. Formats do not share it (FF-TR-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DomainKey {
    pub(crate) exporter: [u8; 16],
    pub(crate) format: FormatCode,
    /// Observation Domain id; for v8 with the aggregation method, which has a sequence of its own (FF-NF-03).
    pub(crate) domain: u32,
}

/// Bounds on what exporters can make us remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Observation Domains.
    pub domains: usize,
    /// Templates of one Observation Domain, over all its sessions (FF-TL-14).
    pub templates_per_domain: usize,
    /// The same over all Observation Domains.
    pub templates: usize,
    /// Fields of the templates of one Observation Domain, over all its sessions; a template counts as some fields more than it has.
    pub template_fields_per_domain: usize,
    /// Fields of all templates that differ.
    pub template_fields: usize,
    /// Templates not refreshed for so long are not used; 0: for ever (FF-V9-06, FF-TL-10). Nanoseconds.
    pub template_lifetime_ns: i64,
    /// Octets of data sets that wait for their template, per Observation Domain (FF-V9-07).
    pub waiting_octets_per_domain: usize,
    /// The same over all Observation Domains.
    pub waiting_octets: usize,
    /// How long they wait. Nanoseconds.
    pub waiting_ns: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            domains: 100_000,
            templates_per_domain: 4096,
            templates: 1_000_000,
            template_fields_per_domain: 1 << 17,
            template_fields: 1 << 20,
            template_lifetime_ns: 1_800_000_000_000,
            waiting_octets_per_domain: 1 << 20,
            waiting_octets: 64 << 20,
            waiting_ns: 30_000_000_000,
        }
    }
}

/// Sessions of one address remembered, per template id and for their options data; exporters whose source port changes make many.
pub(super) const MAX_SESSIONS: usize = 64;

/// A template as one session defined it.
#[derive(Clone, Copy, Debug)]
struct SessionTemplate {
    session: Session,
    plan: PlanId,
    /// What the template counts as.
    fields: usize,
    refreshed_ns: i64,
}

/// One template id, as the sessions of an address define it.
#[derive(Debug, Default)]
struct Definitions {
    /// Most are from one session.
    sessions: Vec<SessionTemplate>,
    /// All sessions define it alike.
    alike: bool,
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

/// What became of a template record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    New,
    /// The same again (FF-TL-08): the reference to its plan is to be released.
    Refreshed,
    /// Another definition (FF-TL-09): the reference to the old plan is to be released.
    Redefined(PlanId),
}

/// A data set that came before its template.
#[derive(Debug)]
pub(crate) struct WaitingSet {
    pub(crate) template_id: u16,
    pub(crate) session: Session,
    pub(crate) context: MessageContext,
    pub(crate) body: Box<[u8]>,
}

impl WaitingSet {
    /// Its records as consecutive rows of their message.
    pub(crate) fn run(&self, records: usize) -> Run {
        Run {
            records,
            context: self.context,
        }
    }

    /// Octets it takes of what may wait: a set of few octets, or none, takes memory all the same.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

/// Everything known of one Observation Domain.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) key: DomainKey,
    templates: HashMap<u16, Definitions, RandomState>,
    template_count: usize,
    template_fields: usize,
    /// Sessions that have defined templates of their own.
    defining: Vec<Session>,
    pub(crate) options: SessionOptions,
    pub(crate) sequence: SequenceTracker,
    pub(crate) waiting: VecDeque<WaitingSet>,
    pub(crate) waiting_octets: usize,
    pub(crate) datagrams: u64,
    pub(crate) records: u64,
    pub(crate) lost: u64,
    pub(crate) last_seen_ns: i64,
}

impl Domain {
    pub(super) fn new(key: DomainKey) -> Self {
        Self {
            key,
            templates: HashMap::default(),
            template_count: 0,
            template_fields: 0,
            defining: Vec::new(),
            options: SessionOptions::default(),
            sequence: SequenceTracker::default(),
            waiting: VecDeque::new(),
            waiting_octets: 0,
            datagrams: 0,
            records: 0,
            lost: 0,
            last_seen_ns: 0,
        }
    }

    /// What options data has taught about the records of a session: its own, or where it defines no templates either and all
    /// other sessions of the address agree, theirs.
    pub(crate) fn options_of(&self, session: Session) -> Option<&OptionsState> {
        self.options
            .of(session, || !self.defining.contains(&session))
    }

    /// Templates known, over all sessions.
    pub(crate) fn template_count(&self) -> usize {
        self.template_count
    }

    /// The template of a data set: its own session's, else the one that all sessions of the address agree on.
    pub(crate) fn lookup(
        &self,
        session: Session,
        template_id: u16,
        now_ns: i64,
        limits: &Limits,
    ) -> Lookup {
        let Some(definitions) = self.templates.get(&template_id) else {
            return Lookup::Missing;
        };
        let own = definitions
            .sessions
            .iter()
            .find(|known| known.session == session);
        let newest = || {
            definitions
                .sessions
                .iter()
                .max_by_key(|known| known.refreshed_ns)
                .filter(|_| definitions.alike)
        };
        let Some(template) = own.or_else(newest) else {
            return Lookup::Ambiguous;
        };
        let age_ns = now_ns.saturating_sub(template.refreshed_ns);
        if limits.template_lifetime_ns > 0 && age_ns > limits.template_lifetime_ns {
            return Lookup::Expired;
        }
        Lookup::Found(template.plan)
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
        if let Some(definitions) = self.templates.get_mut(&template_id)
            && let Some(known) = definitions
                .sessions
                .iter_mut()
                .find(|known| known.session == session)
        {
            known.refreshed_ns = now_ns;
            let before = std::mem::replace(&mut known.plan, plan);
            if before == plan {
                return Stored::Refreshed;
            }
            self.template_fields -= std::mem::replace(&mut known.fields, fields);
            self.template_fields += fields;
            definitions.compare();
            return Stored::Redefined(before);
        }
        // Before the new one is among them: it would be as good as any other of its age.
        if self.template_count >= limits.templates_per_domain {
            self.evict_oldest(evicted);
        }
        while self.template_count > 0
            && self.template_fields + fields > limits.template_fields_per_domain
        {
            self.evict_oldest(evicted);
        }
        if !self.defining.contains(&session) {
            if self.defining.len() >= MAX_SESSIONS {
                self.defining.remove(0);
            }
            self.defining.push(session);
        }
        let definitions = self.templates.entry(template_id).or_default();
        if definitions.sessions.len() >= MAX_SESSIONS
            && let Some(oldest) = (0..definitions.sessions.len())
                .min_by_key(|&i| definitions.sessions[i].refreshed_ns)
        {
            let gone = definitions.sessions.swap_remove(oldest);
            evicted.push(gone.plan);
            self.template_count -= 1;
            self.template_fields -= gone.fields;
        }
        definitions.sessions.push(SessionTemplate {
            session,
            plan,
            fields,
            refreshed_ns: now_ns,
        });
        definitions.compare();
        self.template_count += 1;
        self.template_fields += fields;
        Stored::New
    }

    /// Drops the sixteenth part of the templates that was refreshed longest ago: so the cost of looking for it is shared.
    fn evict_oldest(&mut self, evicted: &mut Vec<PlanId>) {
        let mut ages: Vec<i64> = self
            .templates
            .values()
            .flat_map(|d| d.sessions.iter().map(|known| known.refreshed_ns))
            .collect();
        if ages.is_empty() {
            return;
        }
        let quota = ages.len() / 16 + 1;
        let (_, &mut horizon_ns, _) = ages.select_nth_unstable(quota - 1);
        let mut left = quota;
        self.templates.retain(|_, definitions| {
            definitions.sessions.retain(|known| {
                let goes = left > 0 && known.refreshed_ns <= horizon_ns;
                if goes {
                    left -= 1;
                    self.template_fields -= known.fields;
                    evicted.push(known.plan);
                }
                !goes
            });
            definitions.compare();
            !definitions.sessions.is_empty()
        });
        self.template_count -= quota - left;
    }

    /// All plans that its templates refer to.
    pub(super) fn plans(&self) -> impl Iterator<Item = PlanId> + '_ {
        self.templates
            .values()
            .flat_map(|definitions| definitions.sessions.iter().map(|known| known.plan))
    }
}

impl Definitions {
    fn compare(&mut self) {
        self.alike = self
            .sessions
            .windows(2)
            .all(|pair| pair[0].plan == pair[1].plan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: DomainKey = DomainKey {
        exporter: [1; 16],
        format: FormatCode::Ipfix,
        domain: 0,
    };

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
        let mut domain = Domain::new(KEY);
        let mut store = |port, plan| {
            domain.store(
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
            domain.lookup(session(3000), 256, 0, &limits),
            Lookup::Found(PlanId(1))
        );
        assert_eq!(
            domain.store(
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
            domain.lookup(session(3000), 256, 0, &limits),
            Lookup::Ambiguous
        );
        assert_eq!(
            domain.lookup(session(1000), 256, 0, &limits),
            Lookup::Found(PlanId(1))
        );
        assert_eq!(
            domain.lookup(session(2000), 256, 0, &limits),
            Lookup::Found(PlanId(2))
        );
        assert_eq!(
            domain.lookup(session(1000), 257, 0, &limits),
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
        let mut domain = Domain::new(KEY);
        domain.store(session(1), 256, (PlanId(1), 1), 0, &limits, &mut Vec::new());
        assert_eq!(
            domain.lookup(session(1), 256, 10, &limits),
            Lookup::Found(PlanId(1))
        );
        assert_eq!(domain.lookup(session(1), 256, 11, &limits), Lookup::Expired);
        domain.store(
            session(1),
            256,
            (PlanId(1), 1),
            11,
            &limits,
            &mut Vec::new(),
        );
        assert_eq!(
            domain.lookup(session(1), 256, 21, &limits),
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
        let mut domain = Domain::new(KEY);
        let mut evicted = Vec::new();
        for id in 0..1000u16 {
            domain.store(
                session(1),
                256 + id,
                (PlanId(id.into()), 1),
                id.into(),
                &limits,
                &mut evicted,
            );
        }
        assert!(domain.template_count() <= 100);
        assert_eq!(domain.template_count() + evicted.len(), 1000);
        assert_eq!(
            domain.lookup(session(1), 256, 1000, &limits),
            Lookup::Missing
        );
        assert_eq!(
            domain.lookup(session(1), 1255, 1000, &limits),
            Lookup::Found(PlanId(999))
        );
    }
}
