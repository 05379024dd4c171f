//! The messages, before they go anywhere.

use std::net::SocketAddr;

use flowfast_decode::{Datagram, Decoder, DecoderOptions};

use super::{super::*, combinations, options, reader::Reader};

fn source(exporter: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1 + exporter as u16))
}

fn read(options: &ExportOptions) -> (Reader, Tally) {
    let (mut reader, mut told) = (Reader::default(), Tally::default());
    for message in Messages::new(options).unwrap() {
        reader.read(source(message.exporter), &message.octets);
        told.add(&message.contents);
    }
    (reader, told)
}

#[test]
fn every_format_template_and_order_reads_back() {
    for (format, template, order) in combinations() {
        let options = ExportOptions {
            template: Some(template),
            order,
            exporters: 3,
            template_refresh_datagrams: 7,
            ..options(format, 2003)
        };
        let (reader, told) = read(&options);
        assert_eq!(reader.contents, told, "{options:?}");
        assert_eq!(reader.records.len(), 2003, "{options:?}");
    }
}

/// FF-SQ-01, FF-SF-04: what is sent whole is decoded as whole, samples of sFlow too, which count on by data source.
#[test]
fn nothing_seems_to_be_lost() {
    for (format, template, order) in combinations() {
        let options = ExportOptions {
            template: Some(template),
            order,
            exporters: 3,
            ..options(format, 2003)
        };
        let mut decoder = Decoder::new(&DecoderOptions::default()).unwrap();
        for message in Messages::new(&options).unwrap() {
            let source = source(message.exporter);
            let datagram = Datagram {
                exporter: source.ip(),
                exporter_port: source.port(),
                local_port: 2055,
                received_ns: message.time_ns as i64,
                payload: &message.octets,
            };
            decoder.decode(&datagram).unwrap();
        }
        let stats = decoder.stats();
        assert_eq!(stats.records_decoded, 2003, "{options:?}");
        let lost = [
            stats.sequence_lost_records,
            stats.sequence_lost_packets,
            stats.sequence_lost_flow_samples,
            stats.sample_drops,
        ];
        assert_eq!(lost, [0; 4], "{options:?}");
    }
}

#[test]
fn datagrams_fill_what_they_may() {
    for (format, template, order) in combinations() {
        for max_datagram_octets in [400, 1464, 8950, 65_507] {
            let options = ExportOptions {
                template: Some(template),
                order,
                max_datagram_octets,
                ..options(format, 5000)
            };
            let data: Vec<_> = Messages::new(&options)
                .unwrap()
                .filter(|message| message.contents.templates == 0)
                .collect();
            let full = data[0].octets.len();
            assert!(full <= max_datagram_octets);
            let largest_record = 144; // ipfix-25 of IPv6
            let is_limited = format == Format::Netflow5 && max_datagram_octets > 1464;
            assert!(
                is_limited || full + largest_record + 8 > max_datagram_octets,
                "{options:?}: {full}"
            );
            let (_last, others) = data.split_last().unwrap();
            assert!(
                others.iter().all(|message| message.octets.len() == full),
                "trains need one size"
            );
        }
    }
}

#[test]
fn templates_precede_data_and_are_refreshed() {
    let options = ExportOptions {
        exporters: 2,
        template_refresh_datagrams: 10,
        ..options(Format::Ipfix, 1000)
    };
    let mut data_since = [None; 2];
    for message in Messages::new(&options).unwrap() {
        let since = &mut data_since[message.exporter];
        match (message.contents.templates, *since) {
            (2, None | Some(10)) => *since = Some(0),
            (0, Some(n)) if n < 10 => *since = Some(n + 1),
            other => panic!("templates, data since: {other:?}"),
        }
    }
}

#[test]
fn one_seed_gives_one_stream() {
    let all = |seed| {
        let options = ExportOptions {
            seed,
            order: FieldOrder::Shuffled,
            exporters: 2,
            ..options(Format::Netflow9, 500)
        };
        Messages::new(&options).unwrap().collect::<Vec<_>>()
    };
    assert_eq!(all(5), all(5));
    assert_ne!(all(5), all(6));
}

/// FF-NF-11: the same flow in any format has the same values.
#[test]
fn all_formats_say_the_same() {
    let records = |format| {
        let options = ExportOptions {
            ipv6_percent: 0,
            ..options(format, 3000)
        };
        read(&options).0.records
    };
    let (v5, v9, ipfix) = (
        records(Format::Netflow5),
        records(Format::Netflow9),
        records(Format::Ipfix),
    );
    // Of sFlow, what a packet tells: its volume is its own.
    for (sflow, ipfix) in records(Format::Sflow).iter().zip(&ipfix) {
        for element in [8, 12, 4, 7, 11] {
            assert_eq!(sflow[&element], ipfix[&element], "{element}");
        }
    }
    for ((v5, v9), ipfix) in v5.iter().zip(&v9).zip(&ipfix) {
        for (element, value) in v5 {
            assert_eq!((element, value), (element, &v9[element]));
            assert_eq!((element, value), (element, &ipfix[element]));
        }
        assert_eq!(v9[&61], ipfix[&61]);
    }
}

#[test]
fn order_changes_no_flow() {
    let records = |order| {
        let options = ExportOptions {
            order,
            exporters: 2,
            ..options(Format::Ipfix, 700)
        };
        read(&options).0.records
    };
    for order in FieldOrder::ALL {
        assert_eq!(records(order), records(FieldOrder::AsListed), "{order:?}");
    }
}

#[test]
fn flow_ids_count_the_flows_of_an_exporter() {
    let options = ExportOptions {
        template: Some(NamedTemplate::SetA),
        ..options(Format::Ipfix, 1000)
    };
    let ids: Vec<_> = read(&options)
        .0
        .records
        .iter()
        .map(|record| record[&148])
        .collect();
    assert_eq!(ids, (0..1000).collect::<Vec<_>>());
}

#[test]
fn times_never_go_back_and_keep_the_rate() {
    let options = ExportOptions {
        rate_flows_per_s: 1000.0,
        exporters: 3,
        ..options(Format::Netflow5, 10_000)
    };
    let times: Vec<_> = Messages::new(&options)
        .unwrap()
        .map(|message| message.time_ns)
        .collect();
    assert!(times.is_sorted());
    let start_ns = 1_767_225_600_000_000_000;
    let last_s = (times.last().unwrap() - start_ns) as f64 / 1e9;
    assert!((10.0..10.2).contains(&last_s), "{last_s}");
}

/// An exporter does not keep flows for more than a second to fill a datagram.
#[test]
fn slow_exporters_send_small_datagrams() {
    let options = ExportOptions {
        rate_flows_per_s: 10.0,
        exporters: 2,
        ..options(Format::Netflow5, 50)
    };
    assert!(
        Messages::new(&options)
            .unwrap()
            .all(|message| message.contents.flows() == 5)
    );
}

#[test]
fn duration_bounds_the_simulated_clock() {
    let options = ExportOptions {
        rate_flows_per_s: 1000.0,
        duration: Some(std::time::Duration::from_secs(3)),
        ..options(Format::Ipfix, 0)
    };
    assert_eq!(read(&options).0.records.len(), 3000);
}
