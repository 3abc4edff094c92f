//! Datagrams: PROXY headers, and the table of flows whatever happens in whatever order.

use std::collections::HashMap;
use std::net::SocketAddr;

use isobar::conn::proxy_protocol::{
    Fields, Preface, Received, kind, read, write, write_datagram, write_with,
};
use isobar::udp::table::{FlowId, Key, Table};

use super::mutate::drive;

fn headers() -> Vec<Vec<u8>> {
    let v4: (SocketAddr, SocketAddr) = ("10.1.2.3:4000".parse().unwrap(), "10.4.5.6:80".parse().unwrap());
    let v6 = ("[2001:db8::1]:4000".parse().unwrap(), "[2001:db8::2]:80".parse().unwrap());
    let mut all = Vec::new();
    for ends in [Some(v4), Some(v6), None] {
        let mut fields = Fields::default();
        fields.add(kind::AUTHORITY, b"www.example.test");
        fields.add(kind::SSL, b"\x01\0\0\0\0\x21\0\x07TLSv1.3");
        fields.add(kind::UNIQUE_ID, b"1234");
        for with_sum in [false, true] {
            if with_sum {
                fields.add_checksum();
            }
            let mut bytes = Vec::new();
            write_with(2, ends, &fields, &mut bytes);
            all.push(bytes);
        }
        let mut line = Vec::new();
        write(1, ends, &mut line);
        all.push(line);
        let mut datagram = Vec::new();
        write_datagram(ends.unwrap_or(v4), &mut datagram);
        all.push(datagram);
    }
    all
}

#[test]
fn proxy_headers() {
    drive("PROXY headers", &headers(), |bytes, random| {
        let Preface::Whole { len, ends, fields } = read(bytes) else { return };
        assert!(len <= bytes.len());
        // No shorter beginning says anything else, and what follows changes nothing.
        assert_eq!(read(&bytes[..random.below(len)]), Preface::More);
        assert_eq!(read(&bytes[..len]), read(bytes));
        let received = Received::new(fields);
        let told: usize = (0..=255).flat_map(|kind| received.values(kind)).map(<[u8]>::len).sum();
        assert!(told <= 2 * len);
        let mut again = Vec::new();
        write(1 + random.below(2) as u8, ends, &mut again);
        assert!(matches!(read(&again), Preface::Whole { ends: same, .. } if same == ends));
    });
}

#[test]
fn flows() {
    let examples: Vec<Vec<u8>> =
        (0..8_u8).map(|seed| (0..200).map(|n| (n as u8).wrapping_mul(seed * 2 + 37)).collect()).collect();
    drive("flows", &examples, |bytes, _| {
        let mut table = Table::default();
        let mut model: HashMap<FlowId, (Key, u64, u64)> = HashMap::new();
        let mut now = 0;
        for step in bytes.chunks(3) {
            let [what, who, long] = [0, 1, 2].map(|i| u64::from(step.get(i).copied().unwrap_or(0)));
            let client = SocketAddr::from(([127, 0, 0, 1], (who % 16) as u16));
            let key = Key { listener: who / 128, client, asked: None };
            let known = table.find(&key);
            match (what % 6, known) {
                (0 | 1, None) => {
                    model.insert(table.open(key, long, now, ()), (key, now, long));
                }
                (0..=2, Some(id)) => {
                    table.touch(id, now);
                    model.entry(id).and_modify(|flow| flow.1 = now);
                }
                (3, Some(id)) => {
                    table.set_patience(id, long);
                    model.entry(id).and_modify(|flow| flow.2 = long);
                }
                (4, Some(id)) => {
                    assert!(table.close(id).is_some() && model.remove(&id).is_some());
                }
                _ => now += long,
            }
            while let Some(id) = table.expired(now) {
                let (_, last, patience) = model.remove(&id).expect("known");
                assert!(patience > 0 && last + patience <= now && table.close(id).is_some());
            }
            assert!(model.values().all(|(_, last, patience)| *patience == 0 || last + patience > now));
            assert_eq!(table.len(), model.len());
            assert!(model.iter().all(|(id, (key, ..))| table.find(key) == Some(*id)));
            assert!(table.next_due().is_some() || model.values().all(|(.., patience)| *patience == 0));
        }
    });
}
