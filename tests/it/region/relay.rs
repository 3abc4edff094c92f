//! Distance between hosts of a lab: what they say to each other passes through this process and takes its time.
//!
//! A host takes the others' addresses for its own, so that what it sends there comes to a listener of ours in its
//! namespace; from there it goes on, later, by a connection made in the other's namespace.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::support::lab::{self, Lab};

/// Puts `one_way` between each two of these hosts, for what goes to these addresses of theirs.
pub fn put_between(lab: &Lab, hosts: &[(String, SocketAddr)], one_way: Duration) {
    for (near, _) in hosts {
        // It must not say on the wire that the others' addresses are its own.
        let quiet = lab.run(near, "sysctl", &["-qw", "net.ipv4.conf.all.arp_ignore=1"]);
        assert!(quiet.status.success(), "{}", String::from_utf8_lossy(&quiet.stderr));
        for (far, address) in hosts.iter().filter(|(host, _)| host != near) {
            lab.run_ip(near, &["addr", "add", &format!("{}/32", address.ip()), "dev", "lo"]);
            let (near, far, address) = (near.clone(), far.clone(), *address);
            let (ready, wait) = channel();
            std::thread::spawn(move || {
                lab::enter(&near);
                let listener = TcpListener::bind(address).expect("an address of this host");
                let _ = ready.send(());
                for stream in listener.incoming().flatten() {
                    let far = far.clone();
                    std::thread::spawn(move || carry(&stream, &far, address, one_way));
                }
            });
            wait.recv().expect("it listens");
        }
    }
}

fn carry(near: &TcpStream, far: &str, address: SocketAddr, one_way: Duration) {
    lab::enter(far);
    let Ok(far) = TcpStream::connect(address) else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    for (from, to) in [(near, &far), (&far, near)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let (sent, due) = channel();
        std::thread::spawn(move || take(from, &sent, one_way));
        std::thread::spawn(move || give(to, &due));
    }
}

fn take(mut from: TcpStream, sent: &Sender<(Instant, Vec<u8>)>, one_way: Duration) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        if sent.send((Instant::now() + one_way, piece[..n].to_vec())).is_err() {
            return;
        }
    }
}

fn give(mut to: TcpStream, due: &Receiver<(Instant, Vec<u8>)>) {
    for (at, piece) in due {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
