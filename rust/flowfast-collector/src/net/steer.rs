//! Which worker an Exporter's datagrams go to.
//!
//! An Exporter's Templates and its data must meet in one worker, whatever source port it uses (FF-TL-15, FF-Q-01), so the source
//! *address* alone decides. The kernel does it for sockets by a classic BPF program; replay does the same in Rust.

use std::net::IpAddr;

use libc::sock_filter;

/// 2^32 divided by the golden ratio: spreads neighbouring addresses (Knuth's multiplicative hashing).
const MULTIPLIER: u32 = 0x9E37_79B1;

/// The worker, of `workers`, for datagrams from `exporter` (IPv4-mapped addresses must be given as IPv4).
///
/// Exactly what [`program`] computes in the kernel.
pub(crate) fn worker_of(exporter: IpAddr, workers: usize) -> usize {
    let mixed = match exporter {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [bits >> 96, bits >> 64, bits >> 32, bits]
                .into_iter()
                .fold(0_u32, |mixed, word| {
                    mixed.wrapping_mul(MULTIPLIER).wrapping_add(word as u32)
                })
        }
    };
    (mixed.wrapping_mul(MULTIPLIER) >> 16) as usize % workers.max(1)
}

/// The classic BPF program for a SO_REUSEPORT group of `workers` sockets.
///
/// It reads the packet's own IP header, so an IPv4 packet on a dual-stack socket is hashed as IPv4.
pub(crate) fn program(workers: u32) -> Vec<sock_filter> {
    use libc::{
        BPF_ABS, BPF_ADD, BPF_ALU, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MISC, BPF_MOD,
        BPF_MUL, BPF_RET, BPF_RSH, BPF_TAX, BPF_W, BPF_X,
    };
    const BPF_A: u32 = 0x10; // return the accumulator

    let network = |offset: u32| (libc::SKF_NET_OFF as u32).wrapping_add(offset);
    let op = |code: u32, k: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let load = |offset| op(BPF_LD | BPF_W | BPF_ABS, network(offset));
    let multiply = op(BPF_ALU | BPF_MUL | BPF_K, MULTIPLIER);

    let v4 = [load(12)];
    let mut v6 = vec![load(8)];
    for offset in [12, 16, 20] {
        v6.extend([
            multiply,
            op(BPF_MISC | BPF_TAX, 0),
            load(offset),
            op(BPF_ALU | BPF_ADD | BPF_X, 0),
        ]);
    }
    let finish = [
        multiply,
        op(BPF_ALU | BPF_RSH | BPF_K, 16),
        op(BPF_ALU | BPF_MOD | BPF_K, workers.max(1)),
        op(BPF_RET | BPF_A, 0),
    ];

    let mut program = vec![
        op(BPF_LD | BPF_B | BPF_ABS, network(0)),
        op(BPF_ALU | BPF_RSH | BPF_K, 4), // the version
        sock_filter {
            jf: v4.len() as u8 + 1, // to v6
            ..op(BPF_JMP | BPF_JEQ | BPF_K, 4)
        },
    ];
    program.extend(v4);
    program.push(op(BPF_JMP, v6.len() as u32)); // over v6, to the end
    program.extend(v6);
    program.extend(finish);
    program
}

#[cfg(test)]
#[path = "steer_tests.rs"]
mod tests;
