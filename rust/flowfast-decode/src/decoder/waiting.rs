//! Data sets that came before their template (FF-V9-07, FF-IX-20), or before the common properties of their records (FF-EN-06).

use super::{Decoder, Intake};
use crate::batch::Run;
use crate::error::{DecodeError, SetLoss};
use crate::plan::Piece;
use crate::staging::{PlanId, Records};
use crate::template::RecordKind;
use crate::template::cache::Lookup;
use crate::template::domain::{Awaited, WaitingSet};
use crate::template::options::Subject;

/// Sets that have waited too long are looked for so often, by the datagrams' clock: how often batches are taken has no influence.
pub(super) const EXPIRE_EVERY_NS: u64 = 1_000_000_000;

impl Decoder {
    /// Keeps a set until what it lacks comes (FF-V9-07, FF-IX-20), within bounds.
    pub(crate) fn wait(&mut self, set: WaitingSet) {
        if let Awaited::Properties { plan, .. } = set.awaits {
            self.plans.retain(plan);
        }
        let account = self.account(set.context.domain_index);
        let (octets, cost) = (set.body().len(), set.cost());
        let Self {
            domains,
            limits,
            stats,
            ledger,
            waiting_octets,
            ..
        } = &mut *self;
        let fits = domains.get_mut(set.context.domain_index).filter(|domain| {
            domain.waiting_octets + cost <= limits.waiting_octets_per_domain
                && *waiting_octets + cost <= limits.waiting_octets
        });
        let Some(domain) = fits else {
            return self.give_up(account, set);
        };
        domain.waiting_octets += cost;
        domain.waiting.push_back(set);
        *waiting_octets += cost;
        stats.sets_waiting += 1;
        stats.set_octets_waiting += octets as u64;
        ledger.at(account).wait(1, octets);
    }

    /// Decodes the sets that waited for one of these templates, or for properties that have come since they were last looked at.
    pub(crate) fn decode_waiting(
        &mut self,
        domain_index: usize,
        mut template_ids: Vec<u16>,
        now_ns: i64,
    ) {
        if self.waiting_octets == 0 {
            return; // of whichever domain: for most messages
        }
        let domain = self.domains.get(domain_index);
        if domain.is_none_or(|domain| domain.waiting.is_empty()) {
            return;
        }
        template_ids.sort_unstable();
        // They are decoded, whatever the template came with.
        let intake = std::mem::replace(&mut self.intake, Intake::Received);
        // Options data among them may be what others wait for.
        loop {
            let ready = self.take_ready(domain_index, &template_ids);
            if ready.is_empty() {
                break;
            }
            self.decode_ready(domain_index, ready, now_ns);
            template_ids.clear();
        }
        self.intake = intake;
    }

    fn take_ready(&mut self, domain_index: usize, template_ids: &[u16]) -> Vec<WaitingSet> {
        let Some(domain) = self.domains.get_mut(domain_index) else {
            return Vec::new();
        };
        let properties_came = domain.options.take_new_properties();
        if template_ids.is_empty() && !properties_came {
            return Vec::new();
        }
        let (ready, waiting) = std::mem::take(&mut domain.waiting)
            .into_iter()
            .partition(|set| match set.awaits {
                Awaited::Template => template_ids.binary_search(&set.template_id).is_ok(),
                Awaited::Properties { id, .. } => {
                    let options = domain.options_of(set.session);
                    properties_came && options.is_some_and(|known| known.properties(id).is_some())
                }
            });
        domain.waiting = waiting;
        ready.into()
    }

    fn decode_ready(&mut self, domain_index: usize, ready: Vec<WaitingSet>, now_ns: i64) {
        // What has waited too long teaches nothing either.
        let horizon_ns = now_ns.saturating_sub(self.limits.waiting_ns);
        let (ready, too_old): (Vec<_>, Vec<_>) = ready
            .into_iter()
            .partition(|set| set.context.received_ns >= horizon_ns);
        let account = self.account(domain_index);
        for set in too_old {
            self.unwait(&set, account);
            self.give_up(account, set);
        }
        // The exporter's clock first: Flow Records wait beside the options data that tells it.
        for set in &ready {
            if let Lookup::Found(plan) =
                self.lookup(domain_index, set.session, set.template_id, now_ns)
                && self.kind(plan) == Some(RecordKind::Options)
            {
                self.with_records(plan, set, |decoder, records| {
                    decoder.learn_from(Subject::Clock, records);
                });
            }
        }
        for set in ready {
            self.decode_again(account, set, now_ns);
        }
    }

    /// Decodes a set, or lets it wait for the next thing that it lacks.
    fn decode_again(&mut self, account: usize, mut set: WaitingSet, now_ns: i64) {
        let domain_index = set.context.domain_index;
        let (plan, first_record) = match set.awaits {
            Awaited::Properties { plan, record, .. } => (plan, record),
            Awaited::Template => {
                let found = self.take_template(domain_index, set.session, set.template_id, now_ns);
                match found.plan() {
                    Some(plan) => (plan, 0),
                    None => return self.wait_on(set),
                }
            }
        };
        let mut pieces = Vec::new();
        let Ok((run, octets)) = self.split_waiting(plan, &set, &mut pieces) else {
            self.unwait(&set, account);
            return self.discard_set(domain_index, SetLoss::Malformed, set.body().len());
        };
        if set.awaits == Awaited::Template && self.kind(plan) == Some(RecordKind::Data) {
            self.add_recovered(&run);
        }
        let records = Records {
            plan,
            body: &set.body()[..octets],
            pieces: &pieces,
            run: &run,
        };
        if let Some(awaits) = self.lacks_properties(&records, first_record) {
            if set.awaits == Awaited::Template {
                self.plans.retain(plan);
            }
            set.awaits = awaits;
            return self.wait_on(set);
        }
        self.unwait(&set, account);
        self.recover(account, plan, &set);
    }

    /// Splits a set that has waited, and checks it as those that did not have to: its records, and their octets.
    fn split_waiting(
        &self,
        plan: PlanId,
        set: &WaitingSet,
        pieces: &mut Vec<Piece>,
    ) -> Result<(Run, usize), DecodeError> {
        let (count, octets) = self.split(plan, set.body(), pieces)?;
        let run = set.run(count);
        let records = Records {
            plan,
            body: &set.body()[..octets],
            pieces,
            run: &run,
        };
        let context = &set.context;
        let (domain_index, now_ns) = (context.domain_index, context.received_ns);
        let templates = |template_id| {
            self.lookup(domain_index, set.session, template_id, now_ns)
                .plan()
        };
        self.check_values(&records, &templates)?;
        Ok((run, octets))
    }

    /// Puts a set back among those that wait.
    fn wait_on(&mut self, set: WaitingSet) {
        if let Some(domain) = self.domains.get_mut(set.context.domain_index) {
            domain.waiting.push_back(set);
        }
    }

    /// Decodes a set that has waited, by a plan that it fits, with what is known now.
    pub(super) fn recover(&mut self, account: usize, plan: PlanId, set: &WaitingSet) {
        let intake = std::mem::replace(&mut self.intake, Intake::Received);
        self.with_records(plan, set, Self::append_records);
        self.intake = intake;
        self.stats.sets_recovered += 1;
        self.ledger.at(account).sets_recovered += 1;
        if matches!(set.awaits, Awaited::Properties { .. }) {
            self.plans.release(plan);
        }
    }

    /// Gives the records of a set that has waited to `take`.
    fn with_records(
        &mut self,
        plan: PlanId,
        set: &WaitingSet,
        take: impl FnOnce(&mut Self, &Records<'_>),
    ) {
        let mut pieces = Vec::new();
        if let Ok((count, octets)) = self.split(plan, set.body(), &mut pieces) {
            let records = Records {
                plan,
                body: &set.body()[..octets],
                pieces: &pieces,
                run: &set.run(count),
            };
            take(self, &records);
        }
    }

    /// Gives up on sets that have waited too long, or on all.
    pub(super) fn expire_waiting(&mut self, all: bool) {
        self.expired_ns = self.now_ns;
        if self.stats.sets_waiting == 0 {
            return;
        }
        let horizon_ns = self.now_ns.saturating_sub(self.limits.waiting_ns);
        let waiting: Vec<usize> = self
            .domains
            .iter()
            .filter(|(_, domain)| !domain.waiting.is_empty())
            .map(|(index, _)| index)
            .collect();
        for index in waiting {
            let account = self.account(index);
            while let Some(set) = self.domains.get_mut(index).and_then(|domain| {
                domain
                    .waiting
                    .pop_front_if(|set| all || set.context.received_ns < horizon_ns)
            }) {
                self.unwait(&set, account);
                self.give_up(account, set);
            }
        }
    }

    /// Takes a set off the books of waiting sets, and of the account of its domain.
    pub(super) fn unwait(&mut self, set: &WaitingSet, account: usize) {
        if let Some(domain) = self.domains.get_mut(set.context.domain_index) {
            domain.waiting_octets -= set.cost();
        }
        self.waiting_octets -= set.cost();
        self.stats.sets_waiting -= 1;
        self.stats.set_octets_waiting -= set.body().len() as u64;
        self.ledger.at(account).wait(-1, set.body().len());
    }
}
