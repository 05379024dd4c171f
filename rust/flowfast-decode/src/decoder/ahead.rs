//! What a datagram will need is asked for while others before it are decoded: of very many exporters it is in no cache.

use std::net::IpAddr;

use super::{Datagram, Decoder};
use crate::format;

/// How many datagrams before it is decoded one is best expected: so long takes what it needs, in two steps.
pub const EXPECTED_AHEAD: usize = 2;

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Who sent the datagram that was expected last.
    exporter: Option<IpAddr>,
    /// The domain that it seems to be of, and the id of its first set.
    domain: Option<(usize, Option<u16>)>,
}

impl Decoder {
    /// Says which datagram will be decoded after the next [`EXPECTED_AHEAD`]. What comes of them is the same if it is not, or if nobody
    /// says so: it takes longer where there are thousands of exporters.
    #[inline]
    pub fn expect(&mut self, datagram: &Datagram<'_>) {
        // What has just been heard of is in the caches.
        let is_other = self.ahead.exporter != Some(datagram.exporter);
        if is_other || self.ahead.domain.is_some() {
            self.prefetch(datagram, is_other);
        }
    }

    fn prefetch(&mut self, datagram: &Datagram<'_>, is_other: bool) {
        if let Some((index, set_id)) = self.ahead.domain.take()
            && let Some(domain) = self.domains.get(index)
        {
            self.ledger.prefetch(domain);
            if let Some(template_id) = set_id {
                domain.templates.prefetch(template_id);
            }
        }
        if is_other {
            self.ahead.exporter = Some(datagram.exporter);
            self.ahead.domain = format::announce(datagram).and_then(|announced| {
                let index = self.domains.prefetch(&announced.key)?;
                Some((index, announced.set_id))
            });
        }
    }
}
