//! Counters that add up (architecture section 7).

use crate::error::{DecodeError, SetLoss, Warning};

/// Declares the plain counters once: field, name and meaning together.
macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// Counters of one decoder. `*_waiting` are gauges, the others only grow.
        #[derive(Clone, Debug)]
        pub struct Stats {
            $($(#[$doc])* pub $field: u64,)+
            /// Datagrams discarded, by `DecodeError`.
            pub datagrams_discarded: [u64; DecodeError::COUNT],
            /// Sets that will never be decoded, by `SetLoss`.
            pub sets_discarded: [u64; SetLoss::COUNT],
            /// Their octets.
            pub set_octets_discarded: [u64; SetLoss::COUNT],
            /// Warnings, by `Warning`.
            pub warnings: [u64; Warning::COUNT],
        }

        // By hand: arrays of more than 32 have no Default.
        impl Default for Stats {
            fn default() -> Self {
                Self {
                    $($field: 0,)+
                    datagrams_discarded: [0; DecodeError::COUNT],
                    sets_discarded: [0; SetLoss::COUNT],
                    set_octets_discarded: [0; SetLoss::COUNT],
                    warnings: [0; Warning::COUNT],
                }
            }
        }

        impl Stats {
            /// Adds another decoder's counters.
            pub fn merge(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
                add(&mut self.datagrams_discarded, &other.datagrams_discarded);
                add(&mut self.sets_discarded, &other.sets_discarded);
                add(&mut self.set_octets_discarded, &other.set_octets_discarded);
                add(&mut self.warnings, &other.warnings);
            }

            /// All counters, in a stable order; those of a family carry a label.
            pub fn counters(&self) -> Vec<Counter> {
                let mut all = vec![$(Counter { name: stringify!($field), label: None, value: self.$field }),+];
                all.extend(family("datagrams_discarded", DecodeError::ALL.iter().map(|e| e.label()), &self.datagrams_discarded));
                all.extend(family("sets_discarded", SetLoss::ALL.iter().map(|e| e.label()), &self.sets_discarded));
                all.extend(family("set_octets_discarded", SetLoss::ALL.iter().map(|e| e.label()), &self.set_octets_discarded));
                all.extend(family("warnings", Warning::ALL.iter().map(|e| e.label()), &self.warnings));
                all
            }
        }
    };
}

counters! {
    /// Datagrams given to the decoder.
    datagrams_received,
    /// Their octets.
    octets_received,
    /// Datagrams decoded: received minus discarded.
    datagrams_decoded,
    /// Records in decoded messages whose template was known: decoded plus absorbed.
    records_received,
    /// Rows: records turned into rows, and the reverse directions of biflows that became rows of their own.
    records_decoded,
    /// Biflows that became two rows (RFC 5103).
    biflows_split,
    /// Options data records that only taught something, and counter samples: the `flows` schema has no rows for them.
    records_absorbed,
    /// Options data records read (RFC 7011 section 3.4.2).
    options_records_decoded,
    /// Template records read.
    templates_received,
    /// Options template records read.
    options_templates_received,
    /// Template ids that got their first definition, or another one.
    templates_new,
    /// Plans compiled for them, and for other layouts of records (FF-ORD-04): those of equal definition share one.
    plans_compiled,
    /// Data sets that could not be decoded when they came: recovered, discarded, late or waiting by now.
    sets_undecodable,
    /// Data sets now waiting for their template, or for common properties that their records refer to.
    sets_waiting,
    /// Their octets.
    set_octets_waiting,
    /// Data sets that waited and were decoded.
    sets_recovered,
    /// Data sets that waited in vain and were handed over for the journal.
    sets_late,
    /// Their octets.
    set_octets_late,
    /// Flow Records lost before us, by sequence numbers that count records (v5-v8, IPFIX).
    sequence_lost_records,
    /// Export packets lost before us, by sequence numbers that count packets (v9, sFlow).
    sequence_lost_packets,
    /// Flow Records counted as lost that came later than their successors: not lost after all (FF-SQ-04).
    sequence_late_records,
    /// Export packets counted as lost that came later than their successors.
    sequence_late_packets,
    /// Flow Records sent while no collector ran, by sequence numbers across a restart (v5-v8, IPFIX): they are no loss of the network.
    collector_down_records,
    /// Export packets sent while no collector ran, by sequence numbers across a restart (v9, sFlow).
    collector_down_packets,
    /// sFlow flow samples lost before us, by the sequence of each data source (FF-SF-04).
    sequence_lost_flow_samples,
    /// sFlow counter samples lost before us, by the sequence of each data source.
    sequence_lost_counter_samples,
    /// sFlow discarded-packet samples lost before us, by the sequence of each data source.
    sequence_lost_discard_samples,
    /// sFlow samples counted as lost that came later than their successors.
    sequence_late_samples,
    /// Samples that sFlow agents had no resources for, by their own count (FF-SMP-07).
    sample_drops,
    /// Flow Records that exporters say they sent, between two reports of theirs (FF-OT-02).
    exporter_records_reported,
    /// Flow Records that arrived between the same reports.
    exporter_records_arrived,
    /// Flow Records that exporters say they had and did not send, since their first report.
    exporter_records_not_sent,
    /// Packets that exporters say they saw and did not count, since their first report.
    exporter_packets_ignored,
}

impl Stats {
    /// Counts one warning.
    pub(crate) fn warn(&mut self, warning: Warning) {
        self.warnings[warning as usize] += 1;
    }

    /// Counts a set that will never be decoded.
    pub(crate) fn discard_set(&mut self, loss: SetLoss, octets: usize) {
        self.sets_discarded[loss as usize] += 1;
        self.set_octets_discarded[loss as usize] += octets as u64;
    }
}

/// One counter, for display and metrics.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// E.g. `datagrams_discarded`.
    pub name: &'static str,
    /// E.g. `set_overrun`.
    pub label: Option<&'static str>,
    /// Its value.
    pub value: u64,
}

fn add<const N: usize>(mine: &mut [u64; N], theirs: &[u64; N]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

fn family<'a>(
    name: &'static str,
    labels: impl Iterator<Item = &'static str> + 'a,
    values: &'a [u64],
) -> impl Iterator<Item = Counter> + 'a {
    labels.zip(values).map(move |(label, &value)| Counter {
        name,
        label: Some(label),
        value,
    })
}
