//! The sender: gives each Exporter its turn, at a rate, in one thread.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    course::deal,
    error::ExportOptionsError,
    options::{ExportOptions, MIN_START_TIME_S},
    pace::Pacer,
    pcap::source_address,
    process::{Clock, ExportingProcess},
    ring::RingSender,
    sent::Sent,
    train::{TrainSocket, segmentation_works},
};

/// Memory for the rings of all Exporters.
const RING_OCTETS: usize = 64 << 20;
/// The most datagrams that one Exporter sends before it is the next one's turn.
const TRAIN_DATAGRAMS: u64 = 44;
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Exports to a UDP port on loopback until the options' bounds are reached or `should_stop` says so (it is
/// asked about every 10 ms).
///
/// Each Exporter has a socket of its own. Header times are now, or run from `start_time_s`; flows ended
/// before the run began. Fails with `InvalidInput` if the options cannot be met or `target` is not on
/// loopback, and with the kernel's error if it refuses the sockets or their datagrams.
pub fn export_udp(
    options: &ExportOptions,
    target: SocketAddr,
    should_stop: &dyn Fn() -> bool,
) -> io::Result<Sent> {
    options.validate()?;
    let target = SocketAddr::new(target.ip().to_canonical(), target.port());
    if !target.ip().is_loopback() {
        return Err(ExportOptionsError::NotLoopback(target.ip()).into());
    }
    let start_ms = options
        .start_time_s
        .map_or_else(now_ms, |time_s| u64::from(time_s) * 1000);
    let mut senders = senders(options, target, start_ms)?;
    let exporters = senders
        .iter()
        .map(|sender| {
            Ok((
                sender.socket().source()?,
                sender.process().observation_domain_id(),
            ))
        })
        .collect::<io::Result<Vec<_>>>()?;
    let mut sent = Sent::nothing(exporters.into_iter());
    run(&mut senders, options, start_ms, should_stop, &mut sent)?;
    sent.send_errors = senders
        .iter()
        .map(|sender| sender.socket().refusals())
        .sum();
    Ok(sent)
}

/// UNIX milliseconds; a clock that was never set reads as the earliest start time.
fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = since_epoch.map_or(0, |time| time.as_millis() as u64);
    now_ms.max(u64::from(MIN_START_TIME_S) * 1000)
}

/// One for each Exporter.
fn senders(
    options: &ExportOptions,
    target: SocketAddr,
    start_ms: u64,
) -> io::Result<Vec<RingSender>> {
    // The clock of the rings stands still: a ring is sent again and again, at any speed.
    let clock = Clock {
        start_ms,
        ns_per_flow: 0.0,
    };
    let processes = (0..options.exporters)
        .map(|exporter| ExportingProcess::new(options, exporter, clock))
        .collect::<Result<Vec<_>, _>>()?;
    let records = processes
        .first()
        .map_or(1, ExportingProcess::records_per_message);
    let flows = options.flow_bound(options.rate_flows_per_s);
    let parts = deal(flows, records, options.exporters);
    let is_offloaded = options.trains && segmentation_works();
    let budget_octets = RING_OCTETS / options.exporters;
    processes
        .into_iter()
        .zip(parts)
        .zip(0..)
        .map(|((process, flows), exporter)| {
            let socket = TrainSocket::connect(source(target, exporter), target, is_offloaded)?;
            Ok(RingSender::new(
                options,
                process,
                socket,
                flows,
                budget_octets,
            ))
        })
        .collect()
}

/// On any port: an address of its own over IPv4; ::1 is the only one over IPv6.
fn source(target: SocketAddr, exporter: u16) -> SocketAddr {
    let address = match target.ip() {
        IpAddr::V4(_) => source_address(exporter).into(),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(address, 0)
}

/// Gives the senders their turns, all the same number of datagrams in each round.
fn run(
    senders: &mut [RingSender],
    options: &ExportOptions,
    start_ms: u64,
    should_stop: &dyn Fn() -> bool,
    sent: &mut Sent,
) -> io::Result<()> {
    let started = Instant::now();
    let records = senders
        .first()
        .map_or(1, |sender| sender.process().records_per_message());
    let records_per_round = (records * senders.len()) as u64;
    let mut pacer = Pacer::new(options.rate_flows_per_s, records, started);
    let deadline = options.duration.map(|duration| duration + grace(options));
    let mut next_stop_check = started;
    let (mut turn, mut train, mut finished) = (0, 1, 0);
    while finished < senders.len() {
        let now = Instant::now();
        let elapsed = now - started;
        if deadline.is_some_and(|deadline| elapsed >= deadline) {
            break;
        }
        if now >= next_stop_check {
            if should_stop() {
                break;
            }
            next_stop_check = now + STOP_CHECK_INTERVAL;
        }
        let budget = pacer.budget(now);
        if turn == 0 {
            (train, finished) = ((budget / records_per_round).clamp(1, TRAIN_DATAGRAMS), 0);
        }
        let sender = &mut senders[turn];
        let wanted = sender.flows_in(train);
        if wanted > budget {
            sleep(pacer.wait(wanted, budget));
            continue;
        }
        pacer.spend(wanted);
        sender.send(train, start_ms + elapsed.as_millis() as u64, sent)?;
        finished += usize::from(wanted == 0);
        turn = (turn + 1) % senders.len();
    }
    sent.elapsed = started.elapsed();
    Ok(())
}

/// With a rate it is the number of flows that ends the run, when the last one is due; the deadline is for
/// machines that cannot keep the rate.
fn grace(options: &ExportOptions) -> Duration {
    match options.rate_flows_per_s {
        0.0 => Duration::ZERO,
        _ => Duration::from_secs(1),
    }
}
