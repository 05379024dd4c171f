//! Data sets that came before their template (FF-V9-07, FF-IX-20).

use std::collections::VecDeque;

use super::{Decoder, Intake};
use crate::error::SetLoss;
use crate::format;
use crate::template::RecordKind;
use crate::template::cache::Lookup;
use crate::template::domain::WaitingSet;

/// Sets that have waited too long are looked for so often, by the datagrams' clock: how often batches are taken has no influence.
pub(super) const EXPIRE_EVERY_NS: u64 = 1_000_000_000;

impl Decoder {
    /// Keeps a set until its template comes (FF-V9-07, FF-IX-20), within bounds.
    pub(crate) fn wait_for_template(&mut self, set: WaitingSet) {
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

    /// Decodes the sets that waited for one of these templates.
    pub(crate) fn decode_waiting(
        &mut self,
        domain_index: usize,
        mut template_ids: Vec<u16>,
        now_ns: i64,
    ) {
        let Some(domain) = self.domains.get_mut(domain_index) else {
            return;
        };
        if domain.waiting.is_empty() || template_ids.is_empty() {
            return;
        }
        // They are decoded, whatever the template came with.
        let intake = std::mem::replace(&mut self.intake, Intake::Received);
        template_ids.sort_unstable();
        let (ready, waiting): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut domain.waiting)
            .into_iter()
            .partition(|set| template_ids.binary_search(&set.template_id).is_ok());
        domain.waiting = waiting;
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
                format::learn_waiting(self, plan, set);
            }
        }
        for set in ready {
            match self.take_template(domain_index, set.session, set.template_id, now_ns) {
                Lookup::Found(plan) => {
                    self.unwait(&set, account);
                    if format::append_waiting(self, plan, &set) {
                        self.stats.sets_recovered += 1;
                        self.ledger.at(account).sets_recovered += 1;
                    } else {
                        self.discard_set(domain_index, SetLoss::Malformed, set.body().len());
                    }
                }
                _ => {
                    if let Some(domain) = self.domains.get_mut(domain_index) {
                        domain.waiting.push_back(set);
                    }
                }
            }
        }
        self.intake = intake;
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
