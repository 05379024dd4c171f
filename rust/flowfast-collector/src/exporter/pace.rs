//! The rate: how many flows may leave now.

use std::time::{Duration, Instant};

/// Shorter sleeps cost more than they smooth.
const MIN_SLEEP: Duration = Duration::from_micros(250);
/// Longer ones would notice a stop too late.
const MAX_SLEEP: Duration = Duration::from_millis(50);
/// How much faster than asked for the sender may be to make up for a delay.
const CATCH_UP: f64 = 1.25;
/// The most that leaves at once, as time at the rate: a collector must not meet bursts that no one asked for.
const BURST_S: f64 = 0.002;
/// But so many messages may always leave at once, or slow rates would fall behind with every late wake-up.
const BURST_MESSAGES: f64 = 4.0;

/// A schedule (so many flows by now, exact over any time) above a token bucket (no burst after a delay).
#[derive(Debug)]
pub(super) struct Pacer {
    flows_per_s: f64,
    started: Instant,
    filled: Instant,
    bucket: f64,
    bucket_size: f64,
    spent: f64,
}

impl Pacer {
    /// Starts the schedule; 0 flows per second mean no limit.
    pub(super) fn new(flows_per_s: f64, records_per_message: usize, now: Instant) -> Self {
        Self {
            flows_per_s,
            started: now,
            filled: now,
            bucket: 0.0,
            bucket_size: (CATCH_UP * flows_per_s * BURST_S)
                .max(BURST_MESSAGES * records_per_message as f64),
            spent: 0.0,
        }
    }

    /// Flows that may leave now.
    pub(super) fn budget(&mut self, now: Instant) -> u64 {
        if self.flows_per_s == 0.0 {
            return u64::MAX;
        }
        let gap_s = (now - self.filled).as_secs_f64();
        self.filled = now;
        self.bucket = (self.bucket + CATCH_UP * self.flows_per_s * gap_s).min(self.bucket_size);
        let due = self.flows_per_s * (now - self.started).as_secs_f64() - self.spent;
        self.bucket.min(due).max(0.0) as u64
    }

    /// How long to sleep until so many flows, more than the budget, may leave.
    pub(super) fn wait(&self, flows: u64, budget: u64) -> Duration {
        let missing = flows.saturating_sub(budget) as f64;
        Duration::from_secs_f64((missing / self.flows_per_s).min(1.0)).clamp(MIN_SLEEP, MAX_SLEEP)
    }

    /// So many flows have left.
    pub(super) fn spend(&mut self, flows: u64) {
        self.spent += flows as f64;
        self.bucket -= flows as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends messages of 30 flows on a clock of its own; each sleep lasts as long as asked for, and `extra`.
    fn run(flows_per_s: f64, duration: Duration, extra: fn(u64) -> Duration) -> (u64, u64) {
        let start = Instant::now();
        let (mut now, mut sent, mut largest, mut sleeps) = (start, 0, 0, 0);
        let mut pacer = Pacer::new(flows_per_s, 30, start);
        while now - start < duration {
            let budget = pacer.budget(now);
            let leaving = budget / 30 * 30;
            if leaving == 0 {
                sleeps += 1;
                now += pacer.wait(30, budget) + extra(sleeps);
            }
            pacer.spend(leaving);
            sent += leaving;
            largest = largest.max(leaving);
        }
        (sent, largest)
    }

    #[test]
    fn keeps_the_rate_within_one_percent() {
        for rate in [1e3, 1e5, 1e6, 4e6] {
            let (sent, _) = run(rate, Duration::from_secs(10), |_| Duration::from_micros(60));
            assert!(
                (sent as f64 / (rate * 10.0) - 1.0).abs() < 0.01,
                "{sent} at {rate}"
            );
        }
    }

    #[test]
    fn makes_up_for_delays_without_a_burst() {
        let late = |sleep| Duration::from_millis(if sleep % 1000 == 0 { 40 } else { 0 });
        let (sent, largest) = run(1e6, Duration::from_secs(10), late);
        assert!((sent as f64 / 1e7 - 1.0).abs() < 0.01, "{sent}");
        assert!(largest <= 2500, "{largest}");
    }
}
