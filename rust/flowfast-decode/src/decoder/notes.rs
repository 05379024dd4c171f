//! What a journal says of a decoder beside messages of exporters: where sequences are, and how much templates were used.
//!
//! Each note is a datagram that only teaches, between those that exporters sent, so a capture says all that a decoder knew.

use super::{Datagram, Decoder, KeptMessage};
use crate::batch::{FormatCode, mapped, unmapped};
use crate::sequence::{Counting, Position, Units, Whose};
use crate::template::cache::Session;
use crate::template::domain::{Domain, DomainKey};
use crate::template::limits::Limits;

/// No format has such a version.
const MAGIC: &[u8; 10] = b"\xff\xffflowfast";

/// A note on an Observation Domain. Whom it came from, by which ports and when, the datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Note {
    key: DomainKey,
    about: About,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// A sequence, of all sessions or of one. `is_recalled`: an earlier process has heard of it last.
    Sequence {
        is_of_all: bool,
        is_recalled: bool,
        position: Position,
    },
    /// Data sets read with a template.
    Use { template_id: u16, sets: u64 },
}

impl Note {
    fn octets(&self) -> Box<[u8]> {
        let mut out = MAGIC.to_vec();
        out.push(self.key.format as u8);
        out.extend(self.key.exporter);
        out.extend(self.key.domain.to_be_bytes());
        match self.about {
            About::Sequence {
                is_of_all,
                is_recalled,
                position,
            } => {
                let flags = [
                    is_of_all,
                    is_recalled,
                    position.units.is_some(),
                    position.uptime_ms.is_some(),
                ];
                let units = position.units.unwrap_or(Units::new(0));
                out.push(0);
                out.extend(flags.map(u8::from));
                out.push(position.counting.octet());
                out.extend(position.sequence.to_be_bytes());
                out.extend(units.all.to_be_bytes());
                out.extend(units.flows.to_be_bytes());
                out.extend(position.uptime_ms.unwrap_or(0).to_be_bytes());
            }
            About::Use { template_id, sets } => {
                out.push(1);
                out.extend(template_id.to_be_bytes());
                out.extend(sets.to_be_bytes());
            }
        }
        out.into()
    }

    /// `None`: it is no note.
    fn read(payload: &[u8]) -> Option<Self> {
        let rest = &mut payload.strip_prefix(MAGIC)?;
        let [format] = take(rest)?;
        let key = DomainKey {
            format: FormatCode::of_octet(format)?,
            exporter: take(rest)?,
            domain: u32::from_be_bytes(take(rest)?),
        };
        let about = match take(rest)? {
            [0] => {
                let [is_of_all, is_recalled, has_units, has_uptime, counting] = take(rest)?;
                let mut number = || take(rest).map(u32::from_be_bytes);
                let (sequence, all, flows, uptime_ms) =
                    (number()?, number()?, number()?, number()?);
                About::Sequence {
                    is_of_all: is_of_all != 0,
                    is_recalled: is_recalled != 0,
                    position: Position {
                        sequence,
                        units: (has_units != 0).then_some(Units { all, flows }),
                        counting: Counting::of_octet(counting)?,
                        uptime_ms: (has_uptime != 0).then_some(uptime_ms),
                    },
                }
            }
            [1] => About::Use {
                template_id: u16::from_be_bytes(take(rest)?),
                sets: u64::from_be_bytes(take(rest)?),
            },
            _ => return None,
        };
        Some(Self { key, about })
    }
}

/// The next octets.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

/// Notes on a domain, as datagrams of whoever sent its last message; none on templates that are too old to be used.
pub(super) fn notes<'a>(
    domain: &'a Domain,
    now_ns: i64,
    limits: &'a Limits,
) -> impl Iterator<Item = KeptMessage> + 'a {
    let kept = |session: Session, received_ns, about| KeptMessage {
        exporter: unmapped(domain.source),
        exporter_port: session.exporter_port,
        local_port: session.local_port,
        received_ns,
        payload: Note {
            key: domain.key,
            about,
        }
        .octets(),
    };
    let positions = domain.streams.positions();
    let sequences = positions.map(move |(whose, position, heard_ns, is_recalled)| {
        let (is_of_all, session) = match whose {
            Whose::All => (true, domain.session),
            Whose::Session(session) => (false, session),
        };
        let about = About::Sequence {
            is_of_all,
            is_recalled,
            position,
        };
        kept(session, heard_ns, about)
    });
    let templates = &domain.templates;
    let used = templates.iter().filter(move |(template_id, known)| {
        known.sets > 0 && templates.is_in_use(known.session, *template_id, now_ns, limits)
    });
    let uses = used.map(move |(template_id, known)| {
        let sets = known.sets;
        kept(
            known.session,
            known.used_ns,
            About::Use { template_id, sets },
        )
    });
    sequences.chain(uses)
}

impl Decoder {
    /// Learns from a note; whether it is one.
    pub(super) fn learn_note(&mut self, datagram: &Datagram<'_>) -> bool {
        let Some(Note { key, about }) = Note::read(datagram.payload) else {
            return false;
        };
        let (session, received_ns) = (datagram.session(), datagram.received_ns);
        let index = self.domain(key, received_ns);
        let Some(domain) = self.domains.get_mut(index) else {
            return true;
        };
        match about {
            About::Sequence {
                is_of_all,
                is_recalled,
                position,
            } => {
                let (whose, first) = match (is_of_all, key.format) {
                    (false, _) => (Whose::Session(session), session),
                    (true, FormatCode::Ipfix) => (Whose::All, session),
                    (true, _) => (Whose::All, Session::default()),
                };
                let heard = (received_ns, is_recalled);
                domain.streams.learn(whose, first, position, heard);
                domain.hear_from(mapped(datagram.exporter), session);
            }
            About::Use { template_id, sets } => {
                (domain.templates).resume_use(session, template_id, sets, received_ns);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let key = DomainKey {
            exporter: [7; 16],
            format: FormatCode::Sflow5,
            domain: 0x01020304,
        };
        let position = Position {
            sequence: u32::MAX,
            units: Some(Units { all: 3, flows: 2 }),
            counting: Counting::FLOWS_INCLUDED,
            uptime_ms: Some(5),
        };
        let unknown = Position {
            units: None,
            uptime_ms: None,
            ..position
        };
        let sequence = |is_of_all, position| About::Sequence {
            is_of_all,
            is_recalled: !is_of_all,
            position,
        };
        let used = About::Use {
            template_id: 256,
            sets: 1 << 40,
        };
        for about in [sequence(true, position), sequence(false, unknown), used] {
            let note = Note { key, about };
            let octets = note.octets();
            assert_eq!(Note::read(&octets), Some(note));
            for len in 0..octets.len() {
                assert_eq!(Note::read(&octets[..len]), None, "{len} octets");
            }
        }
    }
}
