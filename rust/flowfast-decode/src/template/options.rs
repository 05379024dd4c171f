//! What options data teaches about Flow Records (RFC 7011 section 4, RFC 3954 section 6): sampling rates, and when the
//! exporter started.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::cache::{MAX_SESSIONS, Session};
use crate::bytes::be_uint;
use crate::element::ElementId;
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};

/// Samplers remembered per Observation Domain.
const MAX_SAMPLERS: usize = 1024;

/// Fields of an options template that are understood, by their elements and not by its id (FF-OT-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptionsFields {
    /// 48 samplerId or 302 selectorId.
    sampler: Option<FieldSource>,
    rate: Option<RateFields>,
    /// 160 systemInitTimeMilliseconds (FF-EN-07).
    system_init_time: Option<FieldSource>,
}

/// Elements from which a rate can be computed (spec 2.12, RFC 5477).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RateFields {
    /// 50 samplerRandomInterval or 34 samplingInterval: one in N.
    OneIn(FieldSource),
    /// 305 samplingPacketInterval of each 305 + 306 samplingPacketSpace.
    Systematic {
        interval: FieldSource,
        space: FieldSource,
    },
    /// 309 samplingSize of each 310 samplingPopulation.
    OutOf {
        size: FieldSource,
        population: FieldSource,
    },
}

impl OptionsFields {
    /// `None` if the template has nothing that is understood.
    pub(crate) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        let one_in = source(50).or(source(34)).map(RateFields::OneIn);
        let systematic = || {
            Some(RateFields::Systematic {
                interval: source(305)?,
                space: source(306)?,
            })
        };
        let out_of = || {
            Some(RateFields::OutOf {
                size: source(309)?,
                population: source(310)?,
            })
        };
        let found = Self {
            sampler: source(48).or(source(302)),
            rate: one_in.or_else(systematic).or_else(out_of),
            system_init_time: source(160),
        };
        (found.rate.is_some() || found.system_init_time.is_some()).then_some(found)
    }
}

impl RateFields {
    /// The rate that a record tells; 0 if it tells none (FF-SMP-03).
    fn rate(&self, tile: &Tile<'_>, record: usize) -> u32 {
        let value = |source| be_uint(tile.field(record, source)).0;
        match *self {
            // FF-SMP-04: 0 or 1 is unsampled.
            Self::OneIn(source) => saturate(value(source).max(1)),
            Self::Systematic { interval, space } => systematic_rate(value(interval), value(space)),
            Self::OutOf { size, population } => {
                saturate(value(population).checked_div(value(size)).unwrap_or(0))
            }
        }
    }
}

/// FF-SMP-03: (interval + space) / interval; an interval of 0 tells nothing.
pub(crate) fn systematic_rate(interval: u64, space: u64) -> u32 {
    saturate(
        interval
            .saturating_add(space)
            .checked_div(interval)
            .unwrap_or(0),
    )
}

pub(crate) fn saturate(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// What a record may teach about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// When the exporter started. That held for all records of the message, also for those that stand before it.
    Clock,
    /// How it samples. That holds from here on (FF-SMP-06).
    Sampling,
}

/// What the options data of one Transport Session and Observation Domain has taught so far (FF-EN-01).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OptionsState {
    /// Rate by sampler or selector id: several are kept apart (FF-SMP-05).
    samplers: HashMap<u64, u32, RandomState>,
    /// Rate of the exporter where no sampler is named.
    exporter_rate: Option<u32>,
    /// When the exporter started, milliseconds since the UNIX epoch.
    system_init_time_ms: Option<i64>,
}

impl OptionsState {
    /// The rate of a sampler, or of the exporter where the record names none.
    pub(crate) fn sampling_rate(&self, sampler: Option<u64>) -> Option<u32> {
        sampler
            .and_then(|id| self.samplers.get(&id).copied())
            .or(self.exporter_rate)
    }

    /// When the exporter started, if it said so: the base of 21 and 22 in IPFIX (FF-DT-08, FF-EN-07).
    pub(crate) fn system_init_time_ms(&self) -> Option<i64> {
        self.system_init_time_ms
    }

    /// Whether `learn` would change anything.
    fn would_change(&self, subject: Subject, fields: &OptionsFields, tile: &Tile<'_>) -> bool {
        (0..tile.records).any(|record| {
            let taught = Lesson::read(subject, fields, tile, record);
            let teaches_rate = taught.rate.is_some_and(|rate| match taught.sampler {
                Some(sampler) => match self.samplers.get(&sampler) {
                    Some(known) => *known != rate,
                    None => self.samplers.len() < MAX_SAMPLERS,
                },
                None => self.exporter_rate != Some(rate),
            });
            let init_time = taught.system_init_time_ms;
            teaches_rate || init_time.is_some() && init_time != self.system_init_time_ms
        })
    }

    /// Takes in options records.
    fn learn(&mut self, subject: Subject, fields: &OptionsFields, tile: &Tile<'_>) {
        for record in 0..tile.records {
            let taught = Lesson::read(subject, fields, tile, record);
            self.system_init_time_ms = taught.system_init_time_ms.or(self.system_init_time_ms);
            match (taught.sampler, taught.rate) {
                (Some(sampler), Some(rate)) => {
                    let has_room = self.samplers.len() < MAX_SAMPLERS;
                    if has_room || self.samplers.contains_key(&sampler) {
                        self.samplers.insert(sampler, rate);
                    }
                }
                (None, Some(rate)) => self.exporter_rate = Some(rate),
                (_, None) => {}
            }
        }
    }
}

/// What each session of an address has taught about one Observation Domain.
#[derive(Debug, Default)]
pub(crate) struct SessionOptions {
    /// Most domains have one.
    sessions: Vec<(Session, OptionsState)>,
    /// All sessions have taught the same.
    alike: bool,
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

    /// Whether `learn` would change anything.
    pub(crate) fn would_change(
        &self,
        session: Session,
        subject: Subject,
        fields: &OptionsFields,
        tile: &Tile<'_>,
    ) -> bool {
        match self.sessions.iter().find(|(known, _)| *known == session) {
            Some((_, state)) => state.would_change(subject, fields, tile),
            None => OptionsState::default().would_change(subject, fields, tile),
        }
    }

    /// Takes in options records of a session.
    pub(crate) fn learn(
        &mut self,
        session: Session,
        subject: Subject,
        fields: &OptionsFields,
        tile: &Tile<'_>,
    ) {
        let index = match self
            .sessions
            .iter()
            .position(|(known, _)| *known == session)
        {
            Some(index) => index,
            None => {
                if self.sessions.len() >= MAX_SESSIONS {
                    self.sessions.remove(0);
                }
                self.sessions.push((session, OptionsState::default()));
                self.sessions.len() - 1
            }
        };
        self.sessions[index].1.learn(subject, fields, tile);
        self.alike = self.sessions.windows(2).all(|pair| pair[0].1 == pair[1].1);
    }
}

/// What one options record says.
struct Lesson {
    sampler: Option<u64>,
    rate: Option<u32>,
    system_init_time_ms: Option<i64>,
}

impl Lesson {
    fn read(subject: Subject, fields: &OptionsFields, tile: &Tile<'_>, record: usize) -> Self {
        let value = |source| be_uint(tile.field(record, source)).0;
        if subject == Subject::Clock {
            let source = fields.system_init_time;
            return Self {
                sampler: None,
                rate: None,
                system_init_time_ms: source.and_then(|source| i64::try_from(value(source)).ok()),
            };
        }
        Self {
            sampler: fields.sampler.map(value),
            rate: fields.rate.map(|rate| rate.rate(tile, record)),
            system_init_time_ms: None,
        }
    }
}
