//! What options data teaches about Flow Records (RFC 7011 section 4, RFC 3954 section 6): for now, sampling rates.

use std::collections::HashMap;

use foldhash::fast::FixedState;

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
    rate: RateFields,
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
        let rate = one_in.or_else(systematic).or_else(out_of)?;
        Some(Self {
            sampler: source(48).or(source(302)),
            rate,
        })
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

/// What the options data of one Observation Domain has taught so far.
#[derive(Debug, Default)]
pub(crate) struct OptionsState {
    /// Rate by sampler or selector id: several are kept apart (FF-SMP-05).
    samplers: HashMap<u64, u32, FixedState>,
    /// Rate of the exporter where no sampler is named.
    exporter_rate: Option<u32>,
}

impl OptionsState {
    /// The rate of a sampler, or of the exporter where the record names none.
    pub(crate) fn sampling_rate(&self, sampler: Option<u64>) -> Option<u32> {
        sampler
            .and_then(|id| self.samplers.get(&id).copied())
            .or(self.exporter_rate)
    }

    /// Whether `learn` would change anything.
    pub(crate) fn would_change(&self, fields: &OptionsFields, tile: &Tile<'_>) -> bool {
        (0..tile.records).any(|record| {
            let rate = fields.rate.rate(tile, record);
            match fields.sampler {
                Some(source) => match self.samplers.get(&be_uint(tile.field(record, source)).0) {
                    Some(known) => *known != rate,
                    None => self.samplers.len() < MAX_SAMPLERS,
                },
                None => self.exporter_rate != Some(rate),
            }
        })
    }

    /// Takes in options records.
    pub(crate) fn learn(&mut self, fields: &OptionsFields, tile: &Tile<'_>) {
        for record in 0..tile.records {
            let rate = fields.rate.rate(tile, record);
            let Some(source) = fields.sampler else {
                self.exporter_rate = Some(rate);
                continue;
            };
            let sampler = be_uint(tile.field(record, source)).0;
            if self.samplers.len() < MAX_SAMPLERS || self.samplers.contains_key(&sampler) {
                self.samplers.insert(sampler, rate);
            }
        }
    }
}
