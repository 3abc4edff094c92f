//! A syslog receiver: the proxy's log lines, in order.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::place;

pub struct LogSink {
    addr: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
}

impl LogSink {
    pub fn start() -> Self {
        let socket = UdpSocket::bind((place::address(), 0)).expect("a port for the log");
        let addr = socket.local_addr().expect("bound");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let weak = Arc::downgrade(&lines);
        let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
        std::thread::spawn(move || {
            let mut datagram = [0; 65536];
            // The thread ends soon after the sink is dropped.
            while let Some(lines) = weak.upgrade() {
                if let Ok(n) = socket.recv(&mut datagram) {
                    let line = String::from_utf8_lossy(&datagram[..n]).trim_end_matches('\n').to_string();
                    lines.lock().unwrap().push(line);
                }
            }
        });
        LogSink { addr, lines }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until `n` lines have come, and returns all that came by then.
    pub fn wait(&self, n: usize) -> Vec<String> {
        place::wait_until(Duration::from_secs(10), || self.lines.lock().unwrap().len() >= n);
        self.lines.lock().unwrap().clone()
    }
}
