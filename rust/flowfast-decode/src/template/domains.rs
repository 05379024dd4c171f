//! All Observation Domains that are known, by key and by an index that stays.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::domain::{Domain, DomainKey};
use crate::staging::PlanId;

/// All Observation Domains, by key and by a stable index.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    index: HashMap<DomainKey, usize, RandomState>,
    slots: Vec<Option<Domain>>,
    free: Vec<usize>,
}

impl Domains {
    pub(crate) fn get(&self, index: usize) -> Option<&Domain> {
        self.slots.get(index)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Domain> {
        self.slots.get_mut(index)?.as_mut()
    }

    pub(crate) fn find(&self, key: &DomainKey) -> Option<usize> {
        self.index.get(key).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Domain)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, domain)| Some((index, domain.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Domain)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(index, domain)| Some((index, domain.as_mut()?)))
    }

    /// Adds a domain that is not there yet.
    pub(crate) fn insert(&mut self, key: DomainKey) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(Domain::new(key));
        self.index.insert(key, index);
        index
    }

    /// Removes the sixteenth part of the domains, and gives them back with the plans they referred to: those that are not established
    /// before those that are (FF-SEC-04), and of each those that were silent longest.
    pub(crate) fn evict_oldest(&mut self) -> Vec<(Domain, Vec<PlanId>)> {
        let mut ages: Vec<(bool, i64, usize)> = self
            .iter()
            .map(|(index, domain)| (domain.is_established(), domain.last_seen_ns, index))
            .collect();
        if ages.is_empty() {
            return Vec::new();
        }
        let quota = ages.len() / 16 + 1;
        ages.select_nth_unstable(quota - 1);
        ages.truncate(quota);
        let mut evicted = Vec::with_capacity(quota);
        for (_, _, index) in ages {
            if let Some(domain) = self.slots[index].take() {
                self.index.remove(&domain.key);
                self.free.push(index);
                let plans = domain.templates.plans().collect();
                evicted.push((domain, plans));
            }
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

    #[test]
    fn a_flood_of_new_domains_drives_no_established_one_out() {
        // FF-SEC-04: one that has sent records for ten seconds stays, although all of the flood are heard later.
        let mut domains = Domains::default();
        let index = domains.insert(KEY);
        let known = domains.get_mut(index).unwrap();
        (known.records, known.last_seen_ns) = (1, 10_000_000_000);
        for n in 1..1000 {
            let index = domains.insert(DomainKey { domain: n, ..KEY });
            let each = domains.get_mut(index).unwrap();
            (each.first_seen_ns, each.last_seen_ns) = (20_000_000_000, 20_000_000_000);
            if domains.len() == 32 {
                domains.evict_oldest();
            }
        }
        assert_eq!(domains.find(&KEY), Some(index));
    }

    #[test]
    fn silent_domains_go_first() {
        let mut domains = Domains::default();
        for n in 0..32 {
            let index = domains.insert(DomainKey { domain: n, ..KEY });
            domains.get_mut(index).unwrap().last_seen_ns = i64::from(n);
        }
        let gone: Vec<_> = domains
            .evict_oldest()
            .into_iter()
            .map(|(domain, _)| domain.key.domain)
            .collect();
        assert_eq!((gone.len(), domains.len()), (3, 29));
        assert!(gone.iter().all(|&n| n < 3), "{gone:?}");
        let index = domains.insert(DomainKey { domain: 99, ..KEY });
        assert_eq!(domains.find(&DomainKey { domain: 99, ..KEY }), Some(index));
    }
}
