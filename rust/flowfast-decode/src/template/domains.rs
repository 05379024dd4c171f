//! All Observation Domains that are known, by key and by an index that stays.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::domain::{Domain, DomainKey};
use super::neglect::most_neglected;
use crate::staging::PlanId;

/// All Observation Domains, by key and by a stable index.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    /// By the hashes of their keys, which are not here but in the domains: that is a cache line less for each message.
    index: HashTable<u32>,
    hasher: RandomState,
    /// Not `Option`s: where a part of a domain is can be told without reading any other.
    slots: Vec<Domain>,
    free: Vec<usize>,
}

impl Domains {
    pub(crate) fn get(&self, index: usize) -> Option<&Domain> {
        let slot = self.slots.get(index)?;
        (!slot.is_gone).then_some(slot)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Domain> {
        let slot = self.slots.get_mut(index)?;
        (!slot.is_gone).then_some(slot)
    }

    #[inline]
    pub(crate) fn find(&self, key: &DomainKey) -> Option<usize> {
        let has_key = |&index: &u32| {
            let domain = self.get(index as usize);
            domain.is_some_and(|domain| domain.key == *key)
        };
        let index = self.index.find(self.hasher.hash_one(key), has_key)?;
        Some(*index as usize)
    }

    /// Asks for what a message of a domain will need first, and tells which domain that seems to be.
    pub(crate) fn prefetch(&self, key: &DomainKey) -> Option<usize> {
        // To compare keys would be to wait for what is only to be asked for: of most hashes there is one.
        let index = *self.index.find(self.hasher.hash_one(key), |_| true)? as usize;
        self.slots.get(index)?.prefetch();
        Some(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Domain)> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| !slot.is_gone)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Domain)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter(|(_, slot)| !slot.is_gone)
    }

    /// Adds a domain that is not there yet.
    pub(crate) fn insert(&mut self, key: DomainKey) -> usize {
        let domain = Domain::new(key);
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index] = domain;
                index
            }
            None => {
                self.slots.push(domain);
                self.slots.len() - 1
            }
        };
        let slots = &self.slots;
        let hash_of = |&index: &u32| self.hasher.hash_one(slots[index as usize].key);
        (self.index).insert_unique(self.hasher.hash_one(key), index as u32, hash_of);
        index
    }

    /// Removes the sixteenth part of the domains, those that are neglected most, and gives them back with the plans they referred to.
    pub(crate) fn evict(&mut self, now_ns: i64) -> Vec<(Domain, Vec<PlanId>)> {
        let mut neglects: Vec<f64> = (self.iter())
            .map(|(_, domain)| domain.neglect(now_ns))
            .collect();
        let Some((count, horizon)) = most_neglected(&mut neglects) else {
            return Vec::new();
        };
        let mut evicted = Vec::with_capacity(count);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if evicted.len() == count {
                break;
            }
            if !slot.is_gone && slot.neglect(now_ns) >= horizon {
                let domain = std::mem::replace(slot, Domain::gone());
                let hash = self.hasher.hash_one(domain.key);
                if let Ok(entry) = (self.index).find_entry(hash, |&found| found as usize == index) {
                    entry.remove();
                }
                self.free.push(index);
                let plans = domain.templates.plans().collect();
                evicted.push((domain, plans));
            }
        }
        evicted
    }

    /// Forgets the sixteenth part of the templates, those that are neglected most, of whichever domains. Gives back the plans they
    /// referred to.
    pub(crate) fn evict_templates(&mut self, now_ns: i64) -> Vec<PlanId> {
        let mut evicted = Vec::new();
        let mut neglects: Vec<f64> = (self.iter())
            .flat_map(|(_, domain)| domain.templates.neglects(now_ns))
            .collect();
        let Some((mut count, horizon)) = most_neglected(&mut neglects) else {
            return evicted;
        };
        for (_, domain) in self.iter_mut() {
            domain
                .templates
                .evict_beyond(horizon, &mut count, now_ns, &mut evicted);
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::FormatCode;

    const KEY: DomainKey = DomainKey {
        exporter: [1; 16],
        format: FormatCode::Ipfix,
        domain: 0,
    };

    const S: i64 = 1_000_000_000;

    /// A domain that was heard from one time to another.
    fn heard(domains: &mut Domains, domain: u32, first_seen_ns: i64, last_seen_ns: i64) -> usize {
        let index = domains.insert(DomainKey { domain, ..KEY });
        let known = domains.get_mut(index).unwrap();
        (known.first_seen_ns, known.last_seen_ns) = (first_seen_ns, last_seen_ns);
        index
    }

    #[test]
    fn a_flood_of_new_domains_drives_no_old_one_out() {
        // FF-SEC-04: it was heard for an hour, and is not during the flood, a minute of which fills all room every 3 s.
        let mut domains = Domains::default();
        let index = heard(&mut domains, 0, 0, 3600 * S);
        for n in 1..=600 {
            let now_ns = 3600 * S + i64::from(n) * S / 10;
            heard(&mut domains, n, now_ns, now_ns);
            if domains.len() == 32 {
                domains.evict(now_ns);
            }
        }
        assert_eq!(domains.find(&KEY), Some(index));
    }

    #[test]
    fn nor_does_one_whose_domains_are_heard_again_and_again() {
        // FF-SEC-04: two minutes of 32 forged domains, each heard every second or so, and one that is heard every ten, for an hour.
        let mut domains = Domains::default();
        let index = heard(&mut domains, 0, 0, 3600 * S);
        for n in 1..=32 {
            heard(&mut domains, n, 3490 * S, 3609 * S - i64::from(n) * S / 32);
        }
        for _ in 0..8 {
            domains.evict(3609 * S);
        }
        assert!(domains.len() < 20);
        assert_eq!(domains.find(&KEY), Some(index));
    }

    #[test]
    fn silent_domains_go_first() {
        let mut domains = Domains::default();
        for n in 0..32 {
            heard(&mut domains, n, i64::from(n), i64::from(n));
        }
        let gone: Vec<_> = domains
            .evict(32)
            .into_iter()
            .map(|(domain, _)| domain.key.domain)
            .collect();
        assert_eq!((gone.len(), domains.len()), (3, 29));
        assert!(gone.iter().all(|&n| n < 3), "{gone:?}");
        let index = domains.insert(DomainKey { domain: 99, ..KEY });
        assert_eq!(domains.find(&DomainKey { domain: 99, ..KEY }), Some(index));
    }
}
