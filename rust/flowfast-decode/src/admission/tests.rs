use super::*;

const T0_NS: i64 = 1_700_000_000 * NS_PER_S;

fn admission(options: AdmissionOptions) -> Admission {
    let options = AdmissionOptions {
        hold_ns: 60 * NS_PER_S,
        ..options
    };
    Admission::new(options, 100)
}

fn from(exporter: &str, received_ns: i64) -> Datagram<'static> {
    Datagram {
        exporter: exporter.parse().unwrap(),
        exporter_port: 5000,
        local_port: 2055,
        received_ns,
        payload: &[],
    }
}

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn networks_of_both_families() {
    for (network, inside, outside) in [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.77/24", "192.0.2.1", "192.1.2.1"),
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("0.0.0.0/0", "255.1.2.3", "::1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"),
        ("::1", "::1", "::2"),
    ] {
        let parsed: Network = network.parse().unwrap();
        let contains = |text: &str| parsed.contains(octets(text.parse().unwrap()));
        assert!(contains(inside), "{network} {inside}");
        assert!(!contains(outside), "{network} {outside}");
    }
    let all: Network = "::/0".parse().unwrap();
    assert!(all.contains(0) && all.contains(u128::MAX));
    for wrong in [
        "",
        "router",
        "192.0.2.0/33",
        "::/129",
        "192.0.2.0/",
        "192.0.2.0/-1",
        "1.2.3",
    ] {
        assert!(wrong.parse::<Network>().is_err(), "{wrong}");
    }
}

#[test]
fn deny_goes_over_allow() {
    let mut admission = admission(AdmissionOptions {
        allow: networks(&["10.0.0.0/8", "2001:db8::/32"]),
        deny: networks(&["10.6.6.0/24"]),
        ..AdmissionOptions::default()
    });
    for (exporter, expected) in [
        ("10.1.2.3", Ok(())),
        ("10.6.6.6", Err(DecodeError::Acl)),
        ("10.6.6.6", Err(DecodeError::Acl)),
        ("11.0.0.1", Err(DecodeError::Acl)),
        ("2001:db8::7", Ok(())),
        ("2001:db9::7", Err(DecodeError::Acl)),
    ] {
        assert_eq!(
            admission.admit(&from(exporter, T0_NS)),
            expected,
            "{exporter}"
        );
    }
}

#[test]
fn each_sender_has_its_rate() {
    let mut admission = admission(AdmissionOptions {
        datagrams_per_s: 10,
        ..AdmissionOptions::default()
    });
    let mut admitted = |exporter, at_ns, datagrams| {
        let came = (0..datagrams).map(|_| admission.admit(&from(exporter, at_ns)));
        came.filter(Result::is_ok).count()
    };
    assert_eq!(
        admitted("10.0.0.1", T0_NS, 25),
        10,
        "what a second brings, at once"
    );
    assert_eq!(admitted("10.0.0.1", T0_NS + NS_PER_S / 10, 5), 1);
    assert_eq!(
        admitted("10.0.0.2", T0_NS + NS_PER_S / 10, 5),
        5,
        "others do not pay for it"
    );
    assert_eq!(
        admitted("10.0.0.1", T0_NS + 3600 * NS_PER_S, 25),
        10,
        "an hour of silence saves up a second"
    );
    assert_eq!(
        admitted("10.0.0.1", T0_NS, 25),
        0,
        "a clock set back gives nothing"
    );
}

#[test]
fn records_are_paid_for_when_they_are_known() {
    let mut admission = admission(AdmissionOptions {
        records_per_s: 100,
        ..AdmissionOptions::default()
    });
    let mut records = 0;
    for tenth in 0..50 {
        let datagram = from("10.0.0.1", T0_NS + tenth * NS_PER_S / 10);
        if admission.admit(&datagram).is_ok() {
            admission.settle(&datagram, Ok(()), 60);
            records += 60;
        }
    }
    // Five seconds bring 500, the full bucket 100 more; the last datagram may be more than is left.
    assert!((540..660).contains(&records), "{records}");
}

#[test]
fn who_sends_only_malformed_datagrams_is_not_heard_for_a_while() {
    // FF-TR-07.
    let mut admission = admission(AdmissionOptions {
        malformed_in_a_row: 3,
        ..AdmissionOptions::default()
    });
    let malformed = Err(DecodeError::SetOverrun);
    let mut send = |at_ns, outcome| {
        let datagram = from("10.0.0.1", at_ns);
        let admitted = admission.admit(&datagram);
        if admitted.is_ok() {
            admission.settle(&datagram, outcome, 0);
        }
        admitted
    };
    for outcome in [
        malformed,
        malformed,
        Ok(()),
        malformed,
        malformed,
        malformed,
    ] {
        assert_eq!(send(T0_NS, outcome), Ok(()));
    }
    let held = Err(DecodeError::Held);
    assert_eq!(send(T0_NS + 1, Ok(())), held);
    assert_eq!(send(T0_NS + 60 * NS_PER_S - 1, Ok(())), held);
    assert_eq!(
        send(T0_NS + 60 * NS_PER_S, malformed),
        Ok(()),
        "the count begins anew"
    );
    assert_eq!(send(T0_NS + 60 * NS_PER_S, malformed), Ok(()));
    assert_eq!(send(T0_NS + 60 * NS_PER_S, malformed), Ok(()));
    assert_eq!(send(T0_NS + 60 * NS_PER_S, malformed), held);
    let other_port = Datagram {
        exporter_port: 5001,
        ..from("10.0.0.1", T0_NS + 61 * NS_PER_S)
    };
    assert_eq!(
        admission.admit(&other_port),
        Ok(()),
        "another process at that address"
    );
}

#[test]
fn what_is_kept_of_strangers_is_bounded() {
    // FF-RB-04.
    let mut admission = admission(AdmissionOptions {
        datagrams_per_s: 10,
        malformed_in_a_row: 2,
        ..AdmissionOptions::default()
    });
    let mut admitted = 0;
    for n in 0..10_000_u32 {
        let datagram = Datagram {
            exporter: IpAddr::V4(n.into()),
            ..from("10.0.0.1", T0_NS)
        };
        if admission.admit(&datagram).is_ok() {
            admitted += 1;
            admission.settle(&datagram, Err(DecodeError::UnknownVersion), 0);
        }
    }
    assert_eq!(admitted, 110, "100 senders, and one rate for all others");
    assert_eq!(
        (admission.rates.kept.len(), admission.strikes.kept.len()),
        (100, 100)
    );
    let later = from("10.9.9.9", T0_NS + 2 * NS_PER_S);
    assert_eq!(admission.admit(&later), Ok(()));
    assert_eq!(
        admission.rates.kept.len(),
        1,
        "the others are as good as never heard of"
    );
}
