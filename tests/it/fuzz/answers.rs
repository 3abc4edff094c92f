//! What others answer: name servers, checked servers and their agents. And lists of certificates.

use isobar::resolve::{Entry, Kind, examine, question, read_answer};
use isobar::tls::crt_list;

use super::mutate::drive;

/// A response to a question for that name, with these records: type and data.
fn response(question: &[u8], records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    bytes.extend(question);
    for (kind, data) in records {
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(*data);
    }
    bytes
}

#[test]
fn name_servers() {
    let asked: Vec<(Kind, Vec<u8>)> = [Kind::A, Kind::Aaaa, Kind::Srv]
        .into_iter()
        .filter_map(|kind| Some((kind, question("_web._tcp.example.test", kind)?)))
        .collect();
    let srv = [&[0, 1, 0, 2, 0, 80][..], b"\x02n1\xc0\x16"].concat();
    let records: [&[(u16, &[u8])]; 4] = [
        &[(1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])],
        &[(28, &[0; 16])],
        &[(33, &srv), (33, &srv)],
        &[(5, b"\x01b\xc0\x16"), (1, &[192, 0, 2, 3])],
    ];
    let examples: Vec<Vec<u8>> =
        asked.iter().flat_map(|(_, question)| records.map(|records| response(question, records))).collect();
    drive("answers of name servers", &examples, |bytes, random| {
        for (kind, question) in &asked {
            if let Some(answer) = read_answer(bytes, question, *kind) {
                assert!(answer.records.len() <= bytes.len());
            }
            if let Some(shape) = examine(bytes, 7, question) {
                let entry = Entry::new(bytes, &shape, 1000);
                let mut room = vec![0; random.below(bytes.len() + 64)];
                if let Some(len) = entry.write(1000 + random.below(100) as u32, &mut room) {
                    assert!(len <= room.len());
                }
            }
        }
    });
}

#[test]
fn checked_servers() {
    let examples: Vec<Vec<u8>> = [
        &b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"up 75% maxconn:30 # all is well\r\n",
        b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x01\x01\x05\0\0\0\x01\x88",
        b"\0\0\0\x2a\x65\0\0\0\x01\0\0\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06",
        b"\x4a\0\0\0\x0a5.7.1\0\x01\0\0\0abcdefgh\0\xff\xf7\x08\x02\0\x0f\x80\x15\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"R\0\0\0\x08\0\0\0\0",
        b"+PONG\r\n",
        b"220 mail ESMTP\r\n250 hello\r\n",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0",
        b"\x16\x03\x01\0\x04\x02\0\0\0",
    ]
    .iter()
    .map(|bytes| bytes.to_vec())
    .collect();
    drive("answers to checks", &examples, |bytes, random| {
        isobar::check::fuzz::answers(bytes, 1 + random.below(40));
    });
}

#[test]
fn lists_of_certificates() {
    let examples: Vec<Vec<u8>> = [
        &b"# comment\nsite.pem [alpn h2,http/1.1 verify required ca-file ca.pem] *.a.test !b.a.test\n"[..],
        b"\"with space.pem\" a.test\nother\\ .pem  [ssl-min-ver TLSv1.2 ciphers A:B no-ca-names allow-0rtt]\n\n  third.pem",
    ]
    .iter()
    .map(|bytes| bytes.to_vec())
    .collect();
    drive("lists of certificates", &examples, |bytes, _| {
        if let Ok(lines) = crt_list::parse("list", bytes) {
            assert!(lines.len() <= bytes.len());
            lines
                .iter()
                .for_each(|line| assert!(line.names().is_none_or(|names| names.len() <= bytes.len())));
        }
        let _ = crt_list::parse_line(&String::from_utf8_lossy(bytes));
    });
}
