//! What the options data of one Transport Session and Observation Domain has taught so far (FF-EN-01).

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState as FastState;
use foldhash::quality::RandomState;

use super::fact::{Chain, Fact, NameKey, Naming, RateKey};
use super::objects::{self, MibObject};
use super::properties::{self, Properties};

/// Octets of a name that are kept: longer ones are refused.
const MAX_NAME_OCTETS: usize = 256;

/// What an entry of a table takes beside its name, about.
const ENTRY_OCTETS: usize = 64;

/// Tables by what they are about. Values are replaced by later ones of the same key, and live as long as the session.
#[derive(Debug, Default)]
pub(crate) struct OptionsState {
    system_init_time_ms: Option<i64>,
    rates: HashMap<RateKey, f64, FastState>,
    chains: HashMap<u64, Chain, FastState>,
    names: HashMap<NameKey, Box<str>, FastState>,
    /// By template; `None`: of those that have none of their own.
    biflow_directions: HashMap<Option<u16>, u8, FastState>,
    /// Object identifiers by template and index of the field, and names by object identifier (RFC 8038).
    objects: HashMap<(u16, u16), Box<[u8]>, FastState>,
    object_names: HashMap<Box<[u8]>, Box<str>, FastState>,
    object_octets: usize,
    name_octets: usize,
    properties: HashMap<u64, Properties, FastState>,
    property_octets: usize,
    /// Bit n: there are names of the nth `Naming`.
    namings: u16,
    /// Of everything in it, whatever its order: equal ones have taught the same.
    fingerprint: u64,
}

/// What a fact would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is known.
    None,
    Change,
    /// There is no room for it.
    Refusal,
}

impl OptionsState {
    /// When the exporter started, if it said so: the base of 21 and 22 in IPFIX (FF-DT-08, FF-EN-07).
    pub(crate) fn system_init_time_ms(&self) -> Option<i64> {
        self.system_init_time_ms
    }

    /// One in so many packets, by what it holds for. Of a Selection Sequence, what its selectors give together (FF-SMP-07).
    pub(crate) fn rate(&self, key: RateKey) -> Option<f64> {
        if let RateKey::Sequence(id) = key
            && let Some(chain) = self.chains.get(&id)
        {
            let rate_of = |selector: &u64| self.rates.get(&RateKey::Sampler(*selector));
            return chain.selectors().iter().map(rate_of).product();
        }
        self.rates.get(&key).copied()
    }

    /// Whether there are rates of anything but the exporter: if not, no record has to be looked at.
    pub(crate) fn has_several_rates(&self) -> bool {
        !self.chains.is_empty()
            || self.rates.len() > usize::from(self.rates.contains_key(&RateKey::Exporter))
    }

    /// Whether there are rates of anything.
    pub(super) fn has_rates(&self) -> bool {
        !self.rates.is_empty()
    }

    /// What the exporter calls something.
    pub(crate) fn name(&self, key: NameKey) -> Option<&str> {
        self.names.get(&key).map(|name| &**name)
    }

    /// Whether anything of the kind has a name.
    pub(crate) fn has_names(&self, of: Naming) -> bool {
        self.namings & 1 << of as u16 != 0
    }

    /// What the Flow Records share that refer to this id (RFC 5473).
    pub(crate) fn properties(&self, id: u64) -> Option<&Properties> {
        self.properties.get(&id)
    }

    /// How the ends of a template's biflows were told apart (239 biflowDirection).
    pub(crate) fn biflow_direction(&self, template_id: Option<u16>) -> Option<u8> {
        let directions = &self.biflow_directions;
        let direction = directions
            .get(&template_id)
            .or_else(|| directions.get(&None));
        direction.copied()
    }

    /// The MIB object that a field of a template is.
    pub(crate) fn object(&self, template_id: u16, index: u16) -> Option<MibObject> {
        let oid = self.objects.get(&(template_id, index))?;
        Some(MibObject {
            oid: oid.clone(),
            name: self.object_names.get(oid).cloned(),
        })
    }

    /// What was said of the fields of a template does not hold any more.
    pub(super) fn forget_objects(&mut self, template_id: u16, hasher: &RandomState) {
        let gone = self
            .objects
            .extract_if(|(template, _), _| *template == template_id);
        for (field, oid) in gone {
            self.object_octets -= oid.len();
            self.fingerprint ^= fingerprint(hasher, &Fact::Object(field, &oid));
        }
    }

    /// Octets that it takes, about.
    pub(super) fn octets(&self) -> usize {
        let tables = [
            self.rates.len(),
            self.chains.len(),
            self.names.len(),
            self.properties.len(),
            self.biflow_directions.len(),
            self.objects.len(),
            self.object_names.len(),
        ];
        let entries: usize = tables.iter().sum();
        entries * ENTRY_OCTETS
            + self.chains.len() * size_of::<Chain>()
            + self.name_octets
            + self.object_octets
            + self.property_octets
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// What `take` would do, if it may take `room` octets.
    pub(super) fn effect(&self, fact: &Fact<'_>, room: usize) -> Effect {
        let (is_known, growth) = match fact {
            Fact::Clock(ms) => (self.system_init_time_ms == Some(*ms), 0),
            Fact::Rate(key, rate) => match self.rates.get(key) {
                Some(known) => (known == rate, 0),
                None => (false, ENTRY_OCTETS),
            },
            Fact::Chain(id, chain) => match self.chains.get(id) {
                Some(known) => (known == chain, 0),
                None => (false, ENTRY_OCTETS + size_of::<Chain>()),
            },
            Fact::Name(key, name) => match self.names.get(key) {
                Some(known) => (**known == **name, name.len().saturating_sub(known.len())),
                None => (false, ENTRY_OCTETS + name.len()),
            },
            Fact::Properties(id, fields, octets) => {
                let cost = Properties::cost(fields, octets);
                match self.properties.get(id) {
                    Some(known) => (
                        known.fields == **fields && *known.octets == **octets,
                        cost.saturating_sub(Properties::cost(&known.fields, &known.octets)),
                    ),
                    None => (false, ENTRY_OCTETS + cost),
                }
            }
            Fact::BiflowDirection(template, direction) => {
                match self.biflow_directions.get(template) {
                    Some(known) => (known == direction, 0),
                    None => (false, ENTRY_OCTETS),
                }
            }
            Fact::Object(field, oid) => match self.objects.get(field) {
                Some(known) => (**known == **oid, oid.len().saturating_sub(known.len())),
                None => (false, ENTRY_OCTETS + oid.len()),
            },
            Fact::ObjectName(oid, name) => match self.object_names.get(*oid) {
                Some(known) => (**known == **name, name.len().saturating_sub(known.len())),
                None => (false, ENTRY_OCTETS + oid.len() + name.len()),
            },
        };
        let is_too_long = match fact {
            Fact::Name(_, name) => name.len() > MAX_NAME_OCTETS,
            Fact::Properties(_, _, octets) => octets.len() > properties::MAX_OCTETS,
            Fact::Object(_, oid) => oid.len() > objects::MAX_OCTETS,
            Fact::ObjectName(oid, name) => {
                oid.len() > objects::MAX_OCTETS || name.len() > MAX_NAME_OCTETS
            }
            _ => false,
        };
        if is_known {
            Effect::None
        } else if is_too_long || growth > 0 && self.octets() + growth > room {
            Effect::Refusal
        } else {
            Effect::Change
        }
    }

    /// Takes a fact in: the last one of a key holds (FF-EN-01).
    pub(super) fn take(&mut self, fact: &Fact<'_>, hasher: &RandomState) {
        let before = match *fact {
            Fact::Clock(ms) => self
                .system_init_time_ms
                .replace(ms)
                .map(|ms| fingerprint(hasher, &Fact::Clock(ms))),
            Fact::Rate(key, rate) => self
                .rates
                .insert(key, rate)
                .map(|rate| fingerprint(hasher, &Fact::Rate(key, rate))),
            Fact::Chain(id, chain) => self
                .chains
                .insert(id, chain)
                .map(|chain| fingerprint(hasher, &Fact::Chain(id, chain))),
            Fact::Name(key, name) => {
                self.name_octets += name.len();
                self.namings |= 1 << key.of as u16;
                self.names.insert(key, name.into()).map(|name| {
                    self.name_octets -= name.len();
                    fingerprint(hasher, &Fact::Name(key, &name))
                })
            }
            Fact::Properties(id, fields, octets) => {
                self.property_octets += Properties::cost(fields, octets);
                let properties = Properties {
                    fields: fields.clone(),
                    octets: octets.into(),
                };
                self.properties.insert(id, properties).map(|before| {
                    let Properties { fields, octets } = &before;
                    self.property_octets -= Properties::cost(fields, octets);
                    fingerprint(hasher, &Fact::Properties(id, fields, octets))
                })
            }
            Fact::BiflowDirection(template, direction) => self
                .biflow_directions
                .insert(template, direction)
                .map(|before| fingerprint(hasher, &Fact::BiflowDirection(template, before))),
            Fact::Object(field, oid) => {
                self.object_octets += oid.len();
                self.objects.insert(field, oid.into()).map(|before| {
                    self.object_octets -= before.len();
                    fingerprint(hasher, &Fact::Object(field, &before))
                })
            }
            Fact::ObjectName(oid, name) => {
                let before = self.object_names.insert(oid.into(), name.into());
                self.object_octets += name.len();
                match before {
                    Some(before) => {
                        self.object_octets -= before.len();
                        Some(fingerprint(hasher, &Fact::ObjectName(oid, &before)))
                    }
                    None => {
                        self.object_octets += oid.len();
                        None
                    }
                }
            }
        };
        self.fingerprint ^= before.unwrap_or_default() ^ fingerprint(hasher, fact);
    }
}

fn fingerprint(hasher: &RandomState, fact: &Fact<'_>) -> u64 {
    fn hash(hasher: &RandomState, kind: u8, value: impl Hash) -> u64 {
        hasher.hash_one((kind, value))
    }
    match *fact {
        Fact::Clock(ms) => hash(hasher, 0, ms),
        Fact::Rate(key, rate) => hash(hasher, 1, (key, rate.to_bits())),
        Fact::Chain(id, chain) => hash(hasher, 2, (id, chain)),
        Fact::Name(key, name) => hash(hasher, 3, (key, name)),
        Fact::BiflowDirection(template, direction) => hash(hasher, 4, (template, direction)),
        Fact::Properties(id, fields, octets) => hash(hasher, 5, (id, fields, octets)),
        Fact::Object(field, oid) => hash(hasher, 6, (field, oid)),
        Fact::ObjectName(oid, name) => hash(hasher, 7, (oid, name)),
    }
}
