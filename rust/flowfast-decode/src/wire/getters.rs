//! Every view of this module on the same octets, every getter of each: what fuzzing asks of them (FF-RB-01).

use super::fixed::FixedPacket;
use super::ipfix::{self, IpfixMessage};
use super::netflow9::{self, Netflow9Packet};
use super::packet;
use super::set::Sets;
use super::sflow::datagram::{SflowDatagram, Version};
use super::sflow::record::RecordBuilder;
use super::sflow::{legacy, sample};

/// Header protocols of sFlow, and one beyond them.
const HEADER_PROTOCOLS: std::ops::RangeInclusive<u32> = 0..=19;

/// Reads the octets as everything they could be. Nothing of what is read is looked at: it must be there to be read.
#[cfg_attr(not(fuzzing), allow(unreachable_pub))] // public where a fuzzer is
pub fn read_all(bytes: &[u8]) {
    fixed(bytes);
    netflow9(bytes);
    ipfix(bytes);
    sets(Sets::new(bytes, 0));
    sets(Sets::new(bytes, 0).until_zeros());
    sflow(bytes);
    if let Some((&tag, body)) = bytes.split_first() {
        let _ = sample::read(
            u32::from(tag),
            body,
            &mut RecordBuilder::default(),
            &mut Vec::new(),
        );
    }
    for protocol in HEADER_PROTOCOLS {
        packet::put_fields(&mut RecordBuilder::default(), protocol, bytes);
    }
}

fn fixed(bytes: &[u8]) {
    let Ok(packet) = FixedPacket::new_checked(bytes) else {
        return;
    };
    assert_eq!(
        packet.records().len(),
        packet.count() * packet.layout.record_len
    );
    assert!(packet.records().len() + packet.trailing_octets() < bytes.len());
    let _ = (packet.is_above_maximum(), packet.sys_uptime_ms());
    let _ = (packet.export_time_ms(), packet.flow_sequence());
    let _ = (packet.engine(), packet.sampling());
}

fn netflow9(bytes: &[u8]) {
    let Ok(packet) = Netflow9Packet::new_checked(bytes) else {
        return;
    };
    let _ = (packet.count(), packet.sys_uptime_ms(), packet.unix_secs());
    let _ = (packet.sequence(), packet.source_id());
    sets(packet.sets());
}

fn ipfix(bytes: &[u8]) {
    let Ok(message) = IpfixMessage::new_checked(bytes) else {
        return;
    };
    assert!(message.trailing_octets() < bytes.len());
    let _ = (message.export_time(), message.sequence());
    let _ = message.observation_domain_id();
    sets(message.sets());
}

/// Each set as templates and options templates of both formats, whatever its id.
fn sets(sets: Sets<'_>) {
    for set in sets.map_while(Result::ok) {
        for is_options in [false, true] {
            netflow9::TemplateRecords::new(set.body, is_options).for_each(drop);
            ipfix::TemplateRecords::new(set.body, is_options).for_each(drop);
        }
    }
}

/// The datagram as it is; of v2 and v4, whose samples have no lengths, sample after sample until one is none.
fn sflow(bytes: &[u8]) {
    let Ok(datagram) = SflowDatagram::new_checked(bytes) else {
        return;
    };
    let _ = (datagram.agent(), datagram.sub_agent(), datagram.sequence());
    let _ = (datagram.uptime_ms(), datagram.sample_count());
    for version in [Version::V2, Version::V4] {
        let mut cursor = datagram.samples();
        while legacy::read(&mut cursor, version, &mut RecordBuilder::default()).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::read_all;

    /// Every datagram of every vector.
    fn vectors() -> Vec<Vec<u8>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
        let hex = |line: &str| {
            (0..line.len() / 2)
                .map(|i| u8::from_str_radix(&line[2 * i..2 * i + 2], 16).unwrap())
                .collect()
        };
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
            .flat_map(|path| {
                let text = std::fs::read_to_string(path).unwrap();
                text.lines().map(hex).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn what_fuzzing_has_found_stays_found() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(folder.join("../fuzz/regressions/getters"))
            .into_iter()
            .flatten()
        {
            read_all(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn every_view_of_every_vector_from_every_octet_on() {
        // FF-RB-01, FF-NF-01, FF-SF-06: cut short at every octet, and read from every octet on, as what it never was.
        for datagram in vectors() {
            for at in 0..=datagram.len() {
                read_all(&datagram[..at]);
                read_all(&datagram[at..]);
            }
        }
    }
}
