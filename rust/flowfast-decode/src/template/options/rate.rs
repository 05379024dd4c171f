//! Sampling rates: what elements they are computed from (spec 2.12, RFC 5477 section 8.2).

use crate::bytes::be_uint;
use crate::element::ElementId;
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};

/// selectorAlgorithm (element 304, RFC 5477 section 8.2.1), as far as it decides which parameters count.
mod algorithm {
    pub(super) const SYSTEMATIC_COUNT: u64 = 1;
    pub(super) const SYSTEMATIC_TIME: u64 = 2;
    pub(super) const N_OUT_OF_N: u64 = 3;
    pub(super) const UNIFORM_PROBABILISTIC: u64 = 4;
    /// Property match, and the hashes: filters, which do not thin out what they select (FF-PS-03).
    pub(super) const FILTERS: std::ops::RangeInclusive<u64> = 5..=8;
}

/// The fields of a template, data or options, from which a rate can be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RateFields {
    /// 304 selectorAlgorithm.
    algorithm: Option<FieldSource>,
    /// 50 samplerRandomInterval or 34 samplingInterval: one in N.
    one_in: Option<FieldSource>,
    /// 305 samplingPacketInterval of each 305 + 306 samplingPacketSpace.
    packets: Option<[FieldSource; 2]>,
    /// 307 samplingTimeInterval of each 307 + 308 samplingTimeSpace.
    time: Option<[FieldSource; 2]>,
    /// 309 samplingSize of each 310 samplingPopulation.
    out_of: Option<[FieldSource; 2]>,
    /// 311 samplingProbability.
    probability: Option<FieldSource>,
}

impl RateFields {
    /// `None` if the template has no field that tells a rate.
    pub(crate) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        let pair = |first, second| Some([source(first)?, source(second)?]);
        let found = Self {
            algorithm: source(304),
            one_in: source(50).or(source(34)),
            packets: pair(305, 306),
            time: pair(307, 308),
            out_of: pair(309, 310),
            probability: source(311),
        };
        (found != Self::default()).then_some(found)
    }

    /// The fields that tell it.
    pub(crate) fn sources(&self) -> impl Iterator<Item = FieldSource> {
        let one = [self.algorithm, self.one_in, self.probability];
        let pairs = [self.packets, self.time, self.out_of];
        one.into_iter()
            .flatten()
            .chain(pairs.into_iter().flatten().flatten())
    }

    /// One in so many packets, that a record tells. By its algorithm if it says one, else by whichever parameters there are.
    pub(crate) fn rate(&self, tile: &Tile<'_>, record: usize) -> Option<f64> {
        let value = |source| be_uint(tile.field(record, source)).0;
        // FF-SMP-04: 0 or 1 is unsampled.
        let one_in = || self.one_in.map(|source| value(source).max(1) as f64);
        // FF-SMP-03: (interval + space) / interval; an interval of 0 tells nothing.
        let systematic = |fields: Option<[FieldSource; 2]>| {
            let [interval, space] = fields?.map(value);
            ratio(interval.saturating_add(space), interval)
        };
        let out_of = || {
            let [size, population] = self.out_of?.map(value);
            ratio(population, size)
        };
        let probability = || probability_rate(tile.field(record, self.probability?));
        let by_algorithm = match self.algorithm.map(value) {
            Some(algorithm::SYSTEMATIC_COUNT) => systematic(self.packets),
            Some(algorithm::SYSTEMATIC_TIME) => systematic(self.time),
            Some(algorithm::N_OUT_OF_N) => out_of(),
            Some(algorithm::UNIFORM_PROBABILISTIC) => probability(),
            Some(filter) if algorithm::FILTERS.contains(&filter) => return Some(1.0),
            _ => None,
        };
        by_algorithm
            .or_else(one_in)
            .or_else(|| systematic(self.packets))
            .or_else(out_of)
            .or_else(probability)
            .or_else(|| systematic(self.time))
    }

    /// The same as its column has it.
    pub(crate) fn whole_rate(&self, tile: &Tile<'_>, record: usize) -> Option<u32> {
        if let (None, Some(one_in)) = (self.algorithm, self.one_in) {
            // Nearly all, and every sample of sFlow. FF-SMP-04: 0 or 1 is unsampled.
            let rate = be_uint(tile.field(record, one_in)).0.max(1);
            return Some(u32::try_from(rate).unwrap_or(u32::MAX));
        }
        self.rate(tile, record).map(rate_as_integer)
    }
}

/// `None` where the sample is nothing, or larger than what it is taken from.
fn ratio(population: u64, sample: u64) -> Option<f64> {
    (sample != 0 && population >= sample).then(|| population as f64 / sample as f64)
}

/// float64, or a float32 for it (RFC 7011 section 6.2).
fn probability_rate(field: &[u8]) -> Option<f64> {
    let probability = match *field {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        _ => f64::from_be_bytes(field.try_into().ok()?),
    };
    (probability > 0.0 && probability <= 1.0).then(|| 1.0 / probability)
}

/// The rate as its column has it: the nearest whole number.
pub(crate) fn rate_as_integer(rate: f64) -> u32 {
    // `as` saturates.
    rate.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Definition, FieldSpecifier, RecordKind};

    /// The rate of a record with these elements, each in as many octets as are given.
    fn rate(fields: &[(u32, &[u8])]) -> Option<f64> {
        let definition = Definition {
            fields: fields
                .iter()
                .map(|(id, octets)| FieldSpecifier {
                    element: ElementId::iana(*id),
                    length: octets.len() as u16,
                })
                .collect(),
            scope_count: 0,
            kind: RecordKind::Options,
            icmp_in_port: false,
            learned: Box::default(),
            objects: Box::default(),
        };
        let layout = Layout::new(&definition).unwrap();
        let bytes: Vec<u8> = fields.iter().flat_map(|field| field.1).copied().collect();
        let shape = crate::kernel::TileShape::Strided(bytes.len());
        let tile = Tile::of(&bytes, 1, shape);
        let fields = RateFields::find(&layout)?;
        let rate = fields.rate(&tile, 0);
        assert_eq!(fields.whole_rate(&tile, 0), rate.map(rate_as_integer));
        rate
    }

    #[test]
    fn each_algorithm_has_parameters_of_its_own() {
        // FF-PS-03, FF-SMP-03; RFC 5477 section 8.2.
        assert_eq!(rate(&[(305, &[1]), (306, &[99])]), Some(100.0));
        assert_eq!(rate(&[(305, &[2]), (306, &[3])]), Some(2.5));
        assert_eq!(rate(&[(305, &[0]), (306, &[99])]), None);
        assert_eq!(
            rate(&[(309, &[3]), (310, &[0x03, 0xe8])]),
            Some(1000.0 / 3.0)
        );
        assert_eq!(rate(&[(309, &[9]), (310, &[3])]), None);
        assert_eq!(rate(&[(311, &0.01_f64.to_be_bytes())]), Some(100.0));
        assert_eq!(rate(&[(311, &0.25_f32.to_be_bytes())]), Some(4.0));
        assert_eq!(rate(&[(311, &f64::NAN.to_be_bytes())]), None);
        assert_eq!(rate(&[(311, &0_f64.to_be_bytes())]), None);
        assert_eq!(rate(&[(307, &[10]), (308, &[30])]), Some(4.0));
        for filter in 5..=8 {
            assert_eq!(rate(&[(304, &[0, filter])]), Some(1.0));
        }
        // A template with the parameters of all algorithms: the record's own counts.
        let of = |algorithm: u8| {
            rate(&[
                (304, &[algorithm]),
                (305, &[1]),
                (306, &[9]),
                (307, &[1]),
                (308, &[19]),
                (309, &[1]),
                (310, &[30]),
                (311, &0.025_f64.to_be_bytes()),
            ])
        };
        assert_eq!([1, 2, 3, 4].map(of), [10.0, 20.0, 30.0, 40.0].map(Some));
    }

    #[test]
    fn intervals_of_nothing_are_unsampled() {
        // FF-SMP-04.
        assert_eq!(rate(&[(34, &[0])]), Some(1.0));
        assert_eq!(rate(&[(50, &[0, 1])]), Some(1.0));
        assert_eq!(
            rate(&[(50, &[0xff; 8])]).map(rate_as_integer),
            Some(u32::MAX)
        );
        assert_eq!(rate(&[(1, &[5])]), None);
        assert_eq!(rate_as_integer(333.4), 333);
    }
}
