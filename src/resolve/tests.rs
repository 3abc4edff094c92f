//! The client against servers that answer, lie, truncate and say nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::response::tests::{QUESTION, negative, positive};
use super::{Client, Failure, Route, Upstream};

/// What a server does with a query.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    /// First with another id.
    Lies,
    Truncates,
    Silent,
    Fails,
    Denies,
}

struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

async fn server(manner: Manner) -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let address = socket.local_addr().expect("bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    if let Manner::Truncates = manner {
        let listener = TcpListener::bind(address).await.expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let size = stream.read_u16().await.expect("a length");
            let mut query = vec![0; usize::from(size)];
            stream.read_exact(&mut query).await.expect("a query");
            let answer = positive(u16::from_be_bytes([query[0], query[1]]), 60);
            stream.write_u16(answer.len() as u16).await.expect("sent");
            stream.write_all(&answer).await.expect("sent");
        });
    }
    tokio::spawn(async move {
        let mut room = [0; 512];
        while let Ok((_, from)) = socket.recv_from(&mut room).await {
            count.fetch_add(1, Ordering::SeqCst);
            assert_eq!(room[2] & 1, 1, "recursion is wanted");
            let id = u16::from_be_bytes([room[0], room[1]]);
            let answers = match manner {
                Manner::Answers => vec![positive(id, 60)],
                Manner::Lies => {
                    vec![positive(id.wrapping_add(1), 60), b"nonsense".to_vec(), positive(id, 61)]
                }
                Manner::Truncates => {
                    let mut cut = positive(id, 60);
                    cut[2] |= 2;
                    vec![cut]
                }
                Manner::Silent => vec![],
                Manner::Fails => vec![negative(id, 2, 0, 0)],
                Manner::Denies => vec![negative(id, 3, 60, 60)],
            };
            // So that others ask meanwhile.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            for answer in answers {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    Server { address, asked }
}

fn client(servers: &[&Server]) -> Arc<Client> {
    let servers = servers.iter().map(|server| Arc::new(Upstream::new(server.address))).collect();
    Arc::new(Client::new(vec![Route { domain: [0].into(), servers }], 1 << 20))
}

fn key() -> Vec<u8> {
    [QUESTION, &[0]].concat()
}

async fn ask(client: &Arc<Client>) -> Result<(u8, usize), Failure> {
    let entry = client.ask(&key(), QUESTION, 0, false).await?;
    Ok((entry.rcode, entry.ttls.len()))
}

#[tokio::test]
async fn answers_are_had_and_kept() {
    for manner in [Manner::Answers, Manner::Lies, Manner::Truncates] {
        let server = server(manner).await;
        let client = client(&[&server]);
        assert_eq!(ask(&client).await, Ok((0, 1)));
        assert!(client.cache.get(&key(), 0).is_some());
    }
    let denies = server(Manner::Denies).await;
    let client = client(&[&denies]);
    assert_eq!(ask(&client).await, Ok((3, 1)));
    assert_eq!(client.cache.len(), 1, "that there is nothing is kept as well");
}

#[tokio::test]
async fn another_server_is_asked_when_one_has_nothing_to_say() {
    let (silent, fails, answers) =
        (server(Manner::Silent).await, server(Manner::Fails).await, server(Manner::Answers).await);
    let client = client(&[&silent, &fails, &answers]);
    assert_eq!(ask(&client).await, Ok((0, 1)));
    assert_eq!(ask(&client).await, Ok((0, 1)));
    assert_eq!(silent.asked.load(Ordering::SeqCst), 1, "who was silent is asked last for a while");
}

#[tokio::test]
async fn without_a_server_there_is_none() {
    let fails = server(Manner::Fails).await;
    let one = client(&[&fails]);
    assert_eq!(ask(&one).await, Err(Failure::NoAnswer));
    assert_eq!(one.cache.len(), 0);
    let corp = Route { domain: (*b"\x04corp\0").into(), servers: vec![] };
    assert_eq!(ask(&Arc::new(Client::new(vec![corp], 1 << 20))).await, Err(Failure::NoRoute));
}

#[tokio::test]
async fn many_who_ask_the_same_are_one_question() {
    let server = server(Manner::Answers).await;
    let client = client(&[&server]);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { ask(&client).await })
        })
        .collect();
    for one in asking {
        assert_eq!(one.await.expect("a task"), Ok((0, 1)));
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}
