//! The measured loop.

use std::hint::black_box;
use std::time::Duration;

use flowfast_decode::{Decoder, DecoderOptions, EXPECTED_AHEAD, Kernel, OptionsError};
use rustix::time::{ClockId, clock_gettime};

use super::load::Load;
use crate::BATCH_ROWS;

/// A load and three ways to go through it: the kernels to be measured, the plain decoder, and copying. Beside it, another load for these kernels.
pub struct DecodeBench {
    load: Load,
    reference: Option<(Load, Pass)>,
    passes: usize,
    measured: Pass,
    baseline: Pass,
    copy: Vec<u8>,
}

/// What one round gave: CPU time of this thread for the same datagrams.
#[derive(Clone, Copy, Debug)]
pub struct DecodeFigures {
    /// Flow Records in the datagrams: as the generator counted, or of a capture, as the decoder did.
    pub records: u64,
    /// Those of them that became no row.
    pub lost: u64,
    /// Decoding them with the kernels that were asked for.
    pub cpu: Duration,
    /// The same with the plain decoder.
    pub baseline: Duration,
    /// Copying their octets to memory once.
    pub floor: Duration,
    /// Of the load that this one is compared with: records, about as many, and decoding them with the kernels that were asked for.
    pub reference: Option<(u64, Duration)>,
}

/// A decoder and what it does in a round.
struct Pass {
    decoder: Decoder,
    /// Rows that left it, in this round.
    rows: u64,
    /// Flow Records that it knew of before this round.
    before: u64,
    cpu: Duration,
}

impl DecodeBench {
    /// Each round goes through the load so often that there are at least so many records. `reference`: what to compare it with.
    ///
    /// # Errors
    /// `UnknownColumn`, as `Decoder::new`.
    pub fn new(
        load: Load,
        reference: Option<Load>,
        options: &DecoderOptions,
        records: u64,
    ) -> Result<Self, OptionsError> {
        let plain = DecoderOptions {
            kernel: Kernel::Plain,
            ..options.clone()
        };
        let reference = reference.map(|load| Ok((load, Pass::new(options)?)));
        let mut bench = Self {
            reference: reference.transpose()?,
            measured: Pass::new(options)?,
            baseline: Pass::new(&plain)?,
            copy: Vec::new(),
            passes: 1,
            load,
        };
        // The first round warms up and tells how many records there are.
        let in_load = bench.round().records.max(1);
        bench.passes = records.div_ceil(in_load).max(1) as usize;
        Ok(bench)
    }

    /// One round: each way in turn, so that what disturbs one disturbs all, and for some passes, so that each finds in the caches what
    /// it left there and not what the others did.
    pub fn round(&mut self) -> DecodeFigures {
        const TURNS: usize = 5;
        let mut floor = Duration::ZERO;
        let mut left = self.passes;
        while left > 0 {
            let turn = self.passes.div_ceil(TURNS).min(left);
            left -= turn;
            floor += (0..turn).map(|_| self.copy()).sum::<Duration>();
            let before = self.measured.records();
            (0..turn).for_each(|_| self.measured.run(&self.load));
            if let Some((load, pass)) = &mut self.reference {
                pass.run_for(load, self.measured.records() - before);
            }
            (0..turn).for_each(|_| self.baseline.run(&self.load));
        }
        let (rows, received, cpu) = self.measured.finish();
        let (_, _, baseline) = self.baseline.finish();
        let reference = self.reference.as_mut().map(|(_, pass)| {
            let (_, records, cpu) = pass.finish();
            (records, cpu)
        });
        let counted = self.load.flows().map(|flows| flows * self.passes as u64);
        let records = counted.unwrap_or(received);
        DecodeFigures {
            records,
            lost: records.saturating_sub(rows),
            cpu,
            baseline,
            floor,
            reference,
        }
    }

    /// The octets of all datagrams, end to end into a buffer that starts over when it is as large as a batch.
    fn copy(&mut self) -> Duration {
        const OCTETS: usize = 16 << 20;
        self.copy.reserve_exact(OCTETS);
        let start = cpu_time();
        for datagram in self.load.datagrams() {
            if self.copy.len() + datagram.payload.len() > OCTETS {
                black_box(&self.copy);
                self.copy.clear();
            }
            self.copy.extend_from_slice(datagram.payload);
        }
        black_box(&self.copy);
        self.copy.clear();
        cpu_time().saturating_sub(start)
    }
}

impl Pass {
    fn new(options: &DecoderOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            decoder: Decoder::new(options)?,
            rows: 0,
            before: 0,
            cpu: Duration::ZERO,
        })
    }

    /// Decodes all datagrams of the load; full batches are forgotten.
    fn run(&mut self, load: &Load) {
        let start = cpu_time();
        let mut later = load.datagrams().skip(EXPECTED_AHEAD);
        for datagram in load.datagrams() {
            if let Some(later) = later.next() {
                self.decoder.expect(&later);
            }
            // A fault is a record that is missing in the end.
            let _ = self.decoder.decode(&datagram);
            if self.records() - self.before - self.rows >= BATCH_ROWS as u64 {
                self.flush();
            }
        }
        self.cpu += cpu_time().saturating_sub(start);
    }

    /// Decodes the load until there are so many records more; once, if it has none.
    fn run_for(&mut self, load: &Load, records: u64) {
        let before = self.records();
        loop {
            let last = self.records();
            self.run(load);
            if self.records() - before >= records || self.records() == last {
                return;
            }
        }
    }

    /// Rows, Flow Records and CPU time of the round.
    fn finish(&mut self) -> (u64, u64, Duration) {
        let start = cpu_time();
        self.flush();
        let cpu = std::mem::take(&mut self.cpu) + cpu_time().saturating_sub(start);
        let records = self.records() - self.before;
        self.before += records;
        (std::mem::take(&mut self.rows), records, cpu)
    }

    fn flush(&mut self) {
        let batches = black_box(self.decoder.flush());
        let rows: usize = batches.iter().map(|table| table.batch.num_rows()).sum();
        self.rows += rows as u64;
    }

    /// Records that it made rows of so far, pending ones too.
    fn records(&self) -> u64 {
        self.decoder.stats().records_decoded
    }
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
