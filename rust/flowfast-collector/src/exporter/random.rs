//! Pseudo-random numbers and the distributions of traffic, in integers only.
//!
//! No floating-point function of the C library is called, so a seed gives the same octets on every
//! platform; and no generator of another crate, whose streams may change with its versions.

/// Sebastiano Vigna's SplitMix64: 64 bits of state, one output per step.
#[derive(Clone, Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    /// A stream of its own for each pair of `seed` and `stream`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = Self(seed);
        Self(mixer.bits().wrapping_add(Self(stream).bits()))
    }

    /// 64 uniform bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`; the bias is below `bound` / 2^64.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// At least 1, and log-normal-like: the octave is binomial (`coins` fair coins less `offset`, not below
    /// 0), the place within the octave uniform. The largest value is below 2^(`coins` - `offset` + 1).
    pub(super) fn log_normal_like(&mut self, coins: u32, offset: u32) -> u64 {
        let heads = (self.bits() >> (64 - coins)).count_ones();
        let octave = 1 << heads.saturating_sub(offset);
        octave + self.below(octave)
    }
}

/// Ranks by Zipf's law with exponent 1: rank r (from 0) has the weight 1 / (r + 1).
#[derive(Debug)]
pub(super) struct Zipf {
    /// Sums of the weights up to and including each rank.
    cumulative: Vec<u64>,
}

impl Zipf {
    /// Over the ranks `0..ranks`; `ranks` is at least 1.
    pub(super) fn new(ranks: u32) -> Self {
        let weights = (1..=u64::from(ranks.max(1))).map(|n| (1 << 40) / n);
        let cumulative = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self {
            cumulative: cumulative.collect(),
        }
    }

    /// One rank.
    pub(super) fn sample(&self, random: &mut SplitMix64) -> u32 {
        let total = self.cumulative.last().copied().unwrap_or(1);
        let point = random.below(total);
        self.cumulative.partition_point(|&sum| sum <= point) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_halves_the_weight_of_the_second_rank() {
        let (zipf, mut random) = (Zipf::new(1000), SplitMix64::new(1, 0));
        let mut hits = vec![0_u32; 1000];
        for _ in 0..200_000 {
            hits[zipf.sample(&mut random) as usize] += 1;
        }
        let ratio = f64::from(hits[0]) / f64::from(hits[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(hits.iter().filter(|&&n| n > 0).count() > 990);
    }

    #[test]
    fn log_normal_like_values_keep_their_bounds() {
        let mut random = SplitMix64::new(2, 0);
        let values: Vec<u64> = (0..100_000)
            .map(|_| random.log_normal_like(20, 7))
            .collect();
        assert!(values.iter().all(|value| (1..1 << 14).contains(value)));
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let mean = values.iter().sum::<u64>() / values.len() as u64;
        assert!(
            mean >= 2 * sorted[values.len() / 2],
            "heavy tail: mean {mean}"
        );
    }

    #[test]
    fn streams_of_one_seed_differ() {
        let (mut a, mut b) = (SplitMix64::new(7, 0), SplitMix64::new(7, 1));
        assert!((0..8).all(|_| a.bits() != b.bits()));
    }
}
