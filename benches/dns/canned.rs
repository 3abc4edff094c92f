//! The floor of `scripts/bench dns`: answers every query with the same address, by the same calls as the responder, and looks
//! nothing up. What a real answer costs more than this is its own.
#![allow(clippy::disallowed_methods)]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use isobar::os::datagram::{Batch, set_buffers, wait_inside};

const TAIL: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];

fn main() {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("usage: canned ADDRESS:PORT");
        std::process::exit(2);
    };
    let socket = UdpSocket::bind(&address).expect("bound");
    let fd = socket.as_raw_fd();
    set_buffers(fd, 4 << 20);
    wait_inside(fd, 200).expect("an option");
    let mut batch = Batch::new(32, 4096, 1232);
    while let Ok(count) = batch.receive(fd, true) {
        for at in 0..count {
            let (query, _, out) = batch.datagram(at);
            let size = answer(query, out);
            batch.reply(at, size);
        }
        batch.send(fd);
    }
}

/// The question, an address, and the rest of the query (its OPT record) as it came.
fn answer(query: &[u8], out: &mut [u8]) -> usize {
    let Some(end) = query.get(12..).and_then(|rest| rest.iter().position(|o| *o == 0)).map(|at| 12 + at + 5)
    else {
        return 0;
    };
    let Some(rest) = query.get(end..) else { return 0 };
    out[..end].copy_from_slice(&query[..end]);
    out[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, u8::from(!rest.is_empty())]);
    out[end..end + 16].copy_from_slice(&TAIL);
    let size = end + 16 + rest.len();
    out[end + 16..size].copy_from_slice(rest);
    size
}
