//! The pcap, octet by octet.

use std::net::{Ipv4Addr, SocketAddr};

use super::{super::*, NEVER, options, reader::Reader};

fn written(options: &ExportOptions) -> (Vec<u8>, Sent) {
    let mut file = Vec::new();
    let sent = pcap::write_pcap(Messages::new(options).unwrap(), &mut file, 2055, NEVER).unwrap();
    (file, sent)
}

fn little(octets: &[u8], offset: usize) -> usize {
    u32::from_le_bytes(octets[offset..offset + 4].try_into().unwrap()) as usize
}

fn big(octets: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(octets[offset..offset + 2].try_into().unwrap())
}

/// The ones' complement sum of data that includes its right checksum is all ones (RFC 1071).
fn sum(octets: impl IntoIterator<Item = u8>) -> u16 {
    let octets: Vec<u8> = octets.into_iter().collect();
    let words = octets
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    words.fold(0_u16, |sum, word| {
        let sum = u32::from(sum) + word;
        (sum & 0xffff) as u16 + (sum >> 16) as u16
    })
}

/// Walks over the packets and asserts what their headers must say.
fn read(file: &[u8]) -> Reader {
    assert_eq!(little(file, 0), 0xa1b2_3c4d, "nanoseconds");
    assert_eq!(little(file, 20), 101, "LINKTYPE_RAW");
    let (mut reader, mut rest) = (Reader::default(), &file[24..]);
    while !rest.is_empty() {
        let length = little(rest, 8);
        assert_eq!(length, little(rest, 12), "captured whole");
        assert!(little(rest, 4) < 1_000_000_000);
        let packet = &rest[16..16 + length];
        assert_eq!((packet[0], packet[9]), (0x45, 17), "IPv4, UDP");
        assert_eq!(usize::from(big(packet, 2)), length);
        assert_eq!(sum(packet[..20].iter().copied()), 0xffff, "IPv4 checksum");
        let udp_length = big(packet, 24);
        assert_eq!(usize::from(udp_length), length - 20);
        assert_eq!(big(packet, 22), 2055);
        let [high, low] = udp_length.to_be_bytes();
        let pseudo_header = [0, 17, high, low];
        let covered = packet[12..20]
            .iter()
            .chain(&pseudo_header)
            .chain(&packet[20..]);
        assert_ne!(big(packet, 26), 0, "a checksum");
        assert_eq!(sum(covered.copied()), 0xffff, "UDP checksum");
        let address = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
        reader.read(SocketAddr::from((address, big(packet, 20))), &packet[28..]);
        rest = &rest[16 + length..];
    }
    reader
}

#[test]
fn holds_what_is_told() {
    // FF-TR-13: `read` sums up every packet, so a checksum that is wrong or not there fails this.
    for format in Format::ALL {
        let options = ExportOptions {
            exporters: 4,
            template_refresh_datagrams: 20,
            ..options(format, 10_001)
        };
        let (file, sent) = written(&options);
        let reader = read(&file);
        assert_eq!(reader.contents, sent.contents);
        assert_eq!(
            (reader.datagrams, reader.octets),
            (sent.datagrams, sent.datagram_octets)
        );
        assert_eq!(sent.contents.flows(), 10_001);
        assert_eq!(
            (reader.sum(2), reader.sum(1)),
            (sent.contents.packets, sent.contents.octets)
        );
        let exporters = &sent.exporters;
        assert_eq!(
            exporters.iter().map(|exporter| exporter.flows).sum::<u64>(),
            10_001
        );
        assert_eq!(
            exporters
                .iter()
                .map(|exporter| exporter.datagrams)
                .sum::<u64>(),
            sent.datagrams
        );
    }
}

/// FNV-1a: a change of the traffic, the encoding or the file is meant, or a fault.
#[test]
fn is_the_same_for_ever() {
    let digests = Format::ALL.map(|format| {
        let options = ExportOptions {
            exporters: 2,
            ..options(format, 5000)
        };
        let (file, _) = written(&options);
        file.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
        })
    });
    assert_eq!(
        digests,
        [
            0xfaac_3022_8514_e042,
            0xdbb0_27f4_d072_aed6,
            0x06c9_a7f8_baef_1a3b,
            0x295e_9099_f7d7_7f16
        ]
    );
}

#[test]
fn ends_whole_when_stopped() {
    let mut file = Vec::new();
    let messages = Messages::new(&options(Format::Netflow5, u64::MAX)).unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 2;
    let sent = pcap::write_pcap(messages, &mut file, 2055, &stop).unwrap();
    assert_eq!(read(&file).contents, sent.contents);
    assert_eq!(sent.datagrams, 2048);
}

#[test]
fn is_written_to_a_file() {
    let path = std::env::temp_dir().join(format!("flowfast-export-{}.pcap", std::process::id()));
    let options = options(Format::Ipfix, 100);
    export_pcap(&options, &path, 2055, NEVER).unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(file, written(&options).0);
}
