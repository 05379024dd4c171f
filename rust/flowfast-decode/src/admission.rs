//! Who is heard: access lists, rates and holds, before anything of a datagram is decoded.
//!
//! What is kept of senders is bounded, for a stranger may write any source address. Nothing is kept while nothing is limited.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use foldhash::fast::RandomState;

use crate::decoder::Datagram;
use crate::error::DecodeError;

const NS_PER_S: i64 = 1_000_000_000;

/// A network, in CIDR notation: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    prefix: u128,
    mask: u128,
}

impl Network {
    pub(crate) fn contains(self, address: u128) -> bool {
        address & self.mask == self.prefix
    }
}

/// Neither an address nor a network in CIDR notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkError(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (bits, offset) = if address.is_ipv4() {
            (32, 96)
        } else {
            (128, 0)
        };
        let length = length.unwrap_or(bits);
        if length > bits {
            return Err(wrong());
        }
        let mask = u128::MAX
            .checked_shl(128 - offset - length)
            .unwrap_or_default();
        Ok(Self {
            prefix: octets(address) & mask,
            mask,
        })
    }
}

/// IPv4 as `::ffff:a.b.c.d`.
fn octets(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ipv4) => ipv4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ipv6) => Ipv6Addr::to_bits(ipv6),
    }
}

/// Who is heard, and how much of each.
#[derive(Clone, Debug, Default)]
pub struct AdmissionOptions {
    /// Networks that are heard; none: all.
    pub allow: Vec<Network>,
    /// Networks that are not heard, whatever `allow` says.
    pub deny: Vec<Network>,
    /// Datagrams a second of one source address; 0: any number.
    pub datagrams_per_s: u32,
    /// Records a second of one source address; 0: any number.
    pub records_per_s: u32,
    /// After so many malformed datagrams in a row a Transport Session is not heard for a while (FF-TR-07); 0: it always is.
    pub malformed_in_a_row: u32,
    /// How long. Nanoseconds.
    pub hold_ns: i64,
}

/// Decides who is heard.
#[derive(Debug)]
pub(crate) struct Admission {
    options: AdmissionOptions,
    /// The source address asked for last, and whether the access lists let it in: most datagrams come in trains.
    last: Option<(IpAddr, bool)>,
    rates: Senders<IpAddr, Rates>,
    /// Of all senders for which there is no room.
    strangers: Rates,
    strikes: Senders<(IpAddr, u16), Strikes>,
}

impl Admission {
    /// Something is kept of so many source addresses, and of so many Transport Sessions, at most.
    pub(crate) fn new(options: AdmissionOptions, senders: usize) -> Self {
        Self {
            last: None,
            rates: Senders::new(senders),
            strangers: Rates::default(),
            strikes: Senders::new(senders),
            options,
        }
    }

    /// Hears these from now on. What is held stays so, and what was spent of rates is spent.
    pub(crate) fn change(&mut self, options: AdmissionOptions) {
        self.options = options;
        self.last = None;
    }

    /// Whether a datagram is to be decoded.
    pub(crate) fn admit(&mut self, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
        if !self.is_let_in(datagram.exporter) {
            return Err(DecodeError::Acl);
        }
        let now_ns = datagram.received_ns;
        if let Some(strikes) = self.strikes.find(&session(datagram))
            && strikes.is_held(now_ns)
        {
            return Err(DecodeError::Held);
        }
        if !self.has_rates() {
            return Ok(());
        }
        let AdmissionOptions {
            datagrams_per_s,
            records_per_s,
            ..
        } = self.options;
        let rates = self.rates.open(datagram.exporter, now_ns);
        let rates = rates.unwrap_or(&mut self.strangers);
        rates.refill(now_ns, datagrams_per_s, records_per_s);
        if rates.spend_datagram(datagrams_per_s, records_per_s) {
            Ok(())
        } else {
            Err(DecodeError::RateLimited)
        }
    }

    /// Takes in what came of a datagram that was admitted.
    pub(crate) fn settle(
        &mut self,
        datagram: &Datagram<'_>,
        outcome: Result<(), DecodeError>,
        records: u64,
    ) {
        if self.options.records_per_s > 0 {
            let rates = self.rates.find(&datagram.exporter);
            rates.unwrap_or(&mut self.strangers).spend_records(records);
        }
        if self.options.malformed_in_a_row == 0 {
            return;
        }
        let session = session(datagram);
        if outcome.is_ok() {
            self.strikes.forget(&session);
        } else if let Some(strikes) = self.strikes.open(session, datagram.received_ns) {
            strikes.in_a_row += 1;
            strikes.until_ns = datagram.received_ns.saturating_add(self.options.hold_ns);
            if strikes.in_a_row >= self.options.malformed_in_a_row {
                (strikes.in_a_row, strikes.holds) = (0, true);
            } else {
                strikes.holds = false;
            }
        }
    }

    fn has_rates(&self) -> bool {
        self.options.datagrams_per_s > 0 || self.options.records_per_s > 0
    }

    fn is_let_in(&mut self, exporter: IpAddr) -> bool {
        let AdmissionOptions { allow, deny, .. } = &self.options;
        if allow.is_empty() && deny.is_empty() {
            return true;
        }
        if let Some((last, is_let_in)) = self.last
            && last == exporter
        {
            return is_let_in;
        }
        let address = octets(exporter);
        let is_in = |networks: &[Network]| networks.iter().any(|each| each.contains(address));
        let is_let_in = !is_in(deny) && (allow.is_empty() || is_in(allow));
        self.last = Some((exporter, is_let_in));
        is_let_in
    }
}

/// Malformed datagrams cost the Transport Session and not all of the address: others may be behind it, and who forges them must
/// know the port, too.
fn session(datagram: &Datagram<'_>) -> (IpAddr, u16) {
    (datagram.exporter, datagram.exporter_port)
}

/// Something that is as good as never heard of after a while.
trait Passing: Default {
    fn is_over(&self, now_ns: i64) -> bool;
}

/// Token buckets of one sender; each holds what may come in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    /// In billionths of a datagram, and of a record. Below 0 for records that came in one datagram.
    datagrams: i64,
    records: i64,
    refilled_ns: Option<i64>,
}

impl Rates {
    fn refill(&mut self, now_ns: i64, datagrams_per_s: u32, records_per_s: u32) {
        let elapsed_ns = self.refilled_ns.map_or(NS_PER_S, |refilled_ns| {
            // A clock set back gives nothing.
            now_ns.saturating_sub(refilled_ns).clamp(0, NS_PER_S)
        });
        self.refilled_ns = Some(now_ns);
        let fill = |bucket: &mut i64, per_s: u32| {
            let full = i64::from(per_s) * NS_PER_S;
            *bucket = bucket
                .saturating_add(i64::from(per_s) * elapsed_ns)
                .min(full);
        };
        fill(&mut self.datagrams, datagrams_per_s);
        fill(&mut self.records, records_per_s);
    }

    fn spend_datagram(&mut self, datagrams_per_s: u32, records_per_s: u32) -> bool {
        if datagrams_per_s > 0 && self.datagrams < NS_PER_S
            || records_per_s > 0 && self.records <= 0
        {
            return false;
        }
        self.datagrams -= NS_PER_S;
        true
    }

    fn spend_records(&mut self, records: u64) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.records = self
            .records
            .saturating_sub(records.saturating_mul(NS_PER_S));
    }
}

impl Passing for Rates {
    /// After a second the buckets are full, as those of a sender never heard of. A datagram has fewer records than a second may bring,
    /// or little is forgiven.
    fn is_over(&self, now_ns: i64) -> bool {
        self.refilled_ns
            .is_none_or(|refilled_ns| now_ns.abs_diff(refilled_ns) > NS_PER_S as u64)
    }
}

/// Malformed datagrams of one Transport Session.
#[derive(Clone, Copy, Debug, Default)]
struct Strikes {
    in_a_row: u32,
    holds: bool,
    /// When it is heard again, or when what is kept of it is out of date.
    until_ns: i64,
}

impl Strikes {
    fn is_held(&self, now_ns: i64) -> bool {
        self.holds && !self.is_over(now_ns)
    }
}

impl Passing for Strikes {
    fn is_over(&self, now_ns: i64) -> bool {
        now_ns >= self.until_ns
    }
}

/// What is kept of so many senders at most.
#[derive(Debug)]
struct Senders<K, V> {
    kept: HashMap<K, V, RandomState>,
    limit: usize,
    swept_ns: Option<i64>,
}

impl<K: Copy + Eq + Hash, V: Passing> Senders<K, V> {
    fn new(limit: usize) -> Self {
        Self {
            kept: HashMap::default(),
            limit: limit.max(1),
            swept_ns: None,
        }
    }

    fn find(&mut self, sender: &K) -> Option<&mut V> {
        if self.kept.is_empty() {
            return None;
        }
        self.kept.get_mut(sender)
    }

    /// What is kept of a sender; `None` if there is no room for another.
    fn open(&mut self, sender: K, now_ns: i64) -> Option<&mut V> {
        if self.kept.len() >= self.limit && !self.kept.contains_key(&sender) {
            self.sweep(now_ns);
            if self.kept.len() >= self.limit {
                return None;
            }
        }
        Some(self.kept.entry(sender).or_default())
    }

    fn forget(&mut self, sender: &K) {
        if !self.kept.is_empty() {
            self.kept.remove(sender);
        }
    }

    /// Forgets the senders that are as good as never heard of; at most once a second, for it costs as much as there are.
    fn sweep(&mut self, now_ns: i64) {
        let is_due = |swept_ns: i64| now_ns.abs_diff(swept_ns) >= NS_PER_S as u64;
        if self.swept_ns.is_none_or(is_due) {
            self.swept_ns = Some(now_ns);
            self.kept.retain(|_, kept| !kept.is_over(now_ns));
        }
    }
}

#[cfg(test)]
mod tests;
