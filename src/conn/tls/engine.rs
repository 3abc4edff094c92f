//! `Engine`: rustls' machine of either side, and `Flow`: the bytes around it.
//!
//! The machine is handed what came and hands out records. All it is asked for goes through [`Engine::run`], which does
//! first whatever the protocol wants done: handshake messages, tickets, new keys.

use std::ops::Deref;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, ReadEarlyData,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

use crate::base::buf::{BODY_SIZE, Buf, HEAD_SIZE, SEALED_SIZE, roomy};
use crate::tls::{Endpoint, places, placing};

/// Most bytes of data that are encrypted at once, and leave in one piece: a full buffer of a body.
pub(super) const MOST_AT_ONCE: usize = BODY_SIZE;
/// What a record has beside its data, at most.
const AROUND: usize = 64;

const _: () = assert!(with_records(MOST_AT_ONCE) <= SEALED_SIZE);

/// Who speaks TLS, and how far it is.
pub(super) enum Engine {
    /// Nobody said yet how.
    Raw,
    /// A server that waits for the client's first message, which decides what is shown to it.
    Awaiting(Arc<Endpoint>),
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// What is asked of the machine.
pub(super) enum Wish<'a> {
    /// Only what the protocol wants.
    Nothing,
    /// Data of one record at most; what finds no room is kept.
    Read(&'a mut [u8]),
    /// Data to encrypt.
    Write(&'a [u8]),
    /// The end of our direction.
    Bye,
}

/// How far the machine went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It needs more of what the peer sends.
    Starved,
    /// So many bytes were read.
    Read(usize),
    /// What was to be written lies in `outgoing`.
    Written,
    /// The peer has ended its direction.
    Ended,
}

/// Bytes on their way. All of it is empty, and without memory, while nothing is in flight.
#[derive(Default)]
pub(super) struct Flow {
    /// From the peer, not looked at yet, or part of a record.
    pub incoming: Buf,
    /// For the peer.
    pub outgoing: Buf,
    /// Data that found no room, from `plain_at` on.
    plain: Vec<u8>,
    plain_at: usize,
    /// Nothing more can be made of `incoming` alone.
    pub is_starved: bool,
    /// The peer's direction is over.
    pub is_ended: bool,
}

impl Flow {
    /// Data that was decrypted already.
    pub fn has_plain(&self) -> bool {
        self.plain_at < self.plain.len()
    }

    /// Takes from the data that was decrypted already.
    pub fn take_plain(&mut self, room: &mut [u8]) -> usize {
        let left = self.plain.get(self.plain_at..).unwrap_or_default();
        let n = copy(left, room);
        self.plain_at += n;
        if self.plain_at == self.plain.len() {
            self.plain = Vec::new();
            self.plain_at = 0;
        }
        n
    }

    /// Room for bytes of the peer, for at least one record. False: there is no more of it, which no honest peer needs.
    pub fn make_room(&mut self, large: bool) -> bool {
        let buf = &mut self.incoming;
        if buf.capacity() == 0 {
            *buf = Buf::take(if large { BODY_SIZE } else { HEAD_SIZE });
        }
        if buf.is_empty() {
            buf.clear();
        } else if buf.start() > 0 {
            buf.compact();
        }
        if buf.room_len() == 0 {
            buf.grow(BODY_SIZE);
        }
        buf.room_len() > 0
    }

    /// Gives the memory back that nothing lies in.
    pub fn release(&mut self) {
        if self.incoming.is_empty() {
            self.incoming = Buf::default();
        }
        if self.outgoing.is_empty() {
            self.outgoing = Buf::default();
        }
    }

    /// Whether so many bytes of data can be encrypted behind what is there.
    pub fn takes(&self, data: usize) -> bool {
        self.outgoing.is_empty() || self.outgoing.room_len() >= with_records(data)
    }
}

/// What data takes up once it is encrypted, at most.
const fn with_records(data: usize) -> usize {
    data + (data / (16 * 1024) + 1) * AROUND
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let n = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..n), to.get_mut(..n)) {
        to.copy_from_slice(from);
    }
    n
}

/// Makes room behind what is to be sent.
fn reserve(outgoing: &mut Buf, size: usize) {
    if outgoing.is_empty() {
        outgoing.clear();
    }
    if outgoing.capacity() == 0 {
        *outgoing = Buf::take(roomy(size));
    }
    if outgoing.room_len() < size {
        outgoing.compact();
    }
    if outgoing.room_len() < size {
        outgoing.grow(roomy(outgoing.len() + size));
    }
}

impl Engine {
    /// What is known of the connection; `None` before there is one.
    pub fn common(&self) -> Option<&CommonState> {
        match self {
            Engine::Server(server) => Some(server.deref()),
            Engine::Client(client) => Some(client.deref()),
            Engine::Raw | Engine::Awaiting(_) => None,
        }
    }

    /// Does what the protocol wants, and then what is wished. After an error an alert may lie in `outgoing`.
    pub fn run(&mut self, flow: &mut Flow, wish: Wish<'_>) -> Result<Step, Error> {
        match self {
            Engine::Server(server) => run(&mut **server, flow, wish),
            Engine::Client(client) => run(&mut **client, flow, wish),
            Engine::Raw | Engine::Awaiting(_) => Err(Error::HandshakeNotComplete),
        }
    }
}

/// A machine of one side.
trait Machine {
    type Data;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// What was agreed on.
    fn common(&self) -> &CommonState;

    /// Whether its records can be sealed where they are sent from.
    fn places(&self) -> bool {
        self.common().negotiated_cipher_suite().is_some_and(places)
    }

    /// Data that a client sent with its first message. Tells how many bytes of what came are to be forgotten.
    fn early(_: ReadEarlyData<'_, '_, Self::Data>, _: &mut dyn FnMut(&[u8])) -> Result<usize, Error> {
        Ok(0)
    }
}

impl Machine for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn common(&self) -> &CommonState {
        self
    }

    fn early(
        mut early: ReadEarlyData<'_, '_, Self::Data>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Error> {
        let Some(record) = early.next_record() else { return Ok(0) };
        let record = record?;
        take(record.payload);
        Ok(record.discard)
    }
}

impl Machine for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

fn run<M: Machine>(machine: &mut M, flow: &mut Flow, mut wish: Wish<'_>) -> Result<Step, Error> {
    loop {
        let Flow { incoming, outgoing, plain, .. } = flow;
        let is_placed = matches!(wish, Wish::Write(_)) && machine.places();
        let status = machine.process(incoming.data_mut());
        let mut discard = status.discard;
        let step = match status.state {
            Err(e) => {
                alerts(machine, incoming, outgoing);
                incoming.clear();
                return Err(e);
            }
            Ok(ConnectionState::EncodeTlsData(record)) => {
                encode(record, outgoing);
                None
            }
            // It lies in `outgoing`, and is sent from there.
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let mut read = None;
                if let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    read = keep(record.payload, plain, &mut wish);
                }
                read
            }
            Ok(ConnectionState::ReadEarlyData(early)) => {
                let mut read = None;
                discard += M::early(early, &mut |data| read = keep(data, plain, &mut wish))?;
                read
            }
            Ok(ConnectionState::PeerClosed) => {
                flow.is_ended = true;
                match wish {
                    Wish::Nothing | Wish::Read(_) => Some(Step::Ended),
                    Wish::Write(_) | Wish::Bye => None,
                }
            }
            // Both directions are over.
            Ok(ConnectionState::Closed) => {
                flow.is_ended = true;
                Some(Step::Ended)
            }
            Ok(ConnectionState::BlockedHandshake) => {
                flow.is_starved = true;
                Some(Step::Starved)
            }
            Ok(ConnectionState::WriteTraffic(traffic)) => {
                let step = send(traffic, &wish, is_placed, outgoing)?;
                flow.is_starved |= step == Step::Starved;
                Some(step)
            }
            Ok(_) => return Err(Error::General("a state of TLS that is not known".to_owned())),
        };
        flow.incoming.consume(discard);
        if let Some(step) = step {
            return Ok(step);
        }
    }
}

/// Data of a record goes to who reads; the rest of it, and all of it when nobody does, is kept.
fn keep(data: &[u8], plain: &mut Vec<u8>, wish: &mut Wish<'_>) -> Option<Step> {
    let (n, step) = match wish {
        Wish::Read(room) if plain.is_empty() => {
            let n = copy(data, room);
            // An empty record says nothing.
            (n, (n > 0).then_some(Step::Read(n)))
        }
        _ => (0, None),
    };
    plain.extend_from_slice(data.get(n..).unwrap_or_default());
    step
}

fn encode<D>(mut record: EncodeTlsData<'_, D>, outgoing: &mut Buf) {
    if outgoing.capacity() == 0 {
        *outgoing = Buf::take(HEAD_SIZE);
    }
    let mut encoded = record.encode(outgoing.room());
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = encoded {
        reserve(outgoing, required_size);
        encoded = record.encode(outgoing.room());
    }
    outgoing.advance(encoded.unwrap_or(0));
}

/// Nothing is left to be done for the protocol: what is wished to be sent can be.
fn send<D>(
    mut traffic: WriteTraffic<'_, D>,
    wish: &Wish<'_>,
    is_placed: bool,
    outgoing: &mut Buf,
) -> Result<Step, Error> {
    match wish {
        Wish::Write(data) => write(&mut traffic, data, is_placed, outgoing)?,
        Wish::Bye => {
            reserve(outgoing, AROUND);
            let n = traffic.queue_close_notify(outgoing.room()).map_err(unwritable)?;
            outgoing.advance(n);
        }
        Wish::Nothing | Wish::Read(_) => return Ok(Step::Starved),
    }
    Ok(Step::Written)
}

fn write<D>(
    traffic: &mut WriteTraffic<'_, D>,
    data: &[u8],
    is_placed: bool,
    outgoing: &mut Buf,
) -> Result<(), Error> {
    reserve(outgoing, with_records(data.len()));
    if is_placed {
        match placing(outgoing, |handed| traffic.encrypt(data, handed)) {
            // More was waiting to be handed out than has room there.
            Err(EncryptError::InsufficientSize(_)) => {}
            other => return other.map_err(unwritable),
        }
    }
    let mut encrypted = traffic.encrypt(data, outgoing.room());
    if let Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) = encrypted {
        reserve(outgoing, required_size);
        encrypted = traffic.encrypt(data, outgoing.room());
    }
    outgoing.advance(encrypted.map_err(unwritable)?);
    Ok(())
}

fn unwritable(e: EncryptError) -> Error {
    match e {
        EncryptError::EncryptExhausted => Error::EncryptError,
        EncryptError::InsufficientSize(_) => Error::General("no room for a record".to_owned()),
    }
}

/// What the peer is told before the end.
fn alerts<M: Machine>(machine: &mut M, incoming: &mut Buf, outgoing: &mut Buf) {
    while let Ok(ConnectionState::EncodeTlsData(record)) = machine.process(incoming.data_mut()).state {
        encode(record, outgoing);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustls::{ClientConfig, ClientConnection, ServerConfig, SupportedProtocolVersion};

    use super::*;
    use crate::tls::testing::Issuer;
    use crate::tls::{Anyone, provider};

    /// A client, and a server that has shaken hands with it.
    fn met(version: &'static SupportedProtocolVersion) -> (ClientConnection, Engine, Flow) {
        let shows = Issuer::new().certified(&["a.test"]);
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shows.key.clone())));
        let server = UnbufferedServerConnection::new(Arc::new(config)).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), "a.test".try_into().unwrap()).unwrap();
        let (mut engine, mut flow) = (Engine::Server(Box::new(server)), Flow::default());
        while client.is_handshaking() || engine.common().is_some_and(|common| common.is_handshaking()) {
            hear(&mut client, &mut engine, &mut flow);
            tell(&mut client, &mut flow);
        }
        (client, engine, flow)
    }

    /// What the client has to say goes to the server.
    fn hear(client: &mut ClientConnection, engine: &mut Engine, flow: &mut Flow) {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        for piece in bytes.chunks(4096) {
            assert!(flow.make_room(false));
            assert_eq!(flow.incoming.push(piece), piece.len());
            flow.is_starved = false;
            engine.run(flow, Wish::Nothing).unwrap();
        }
    }

    /// What the server has to say goes to the client; the data in it.
    fn tell(client: &mut ClientConnection, flow: &mut Flow) -> Vec<u8> {
        let mut data = Vec::new();
        while !flow.outgoing.is_empty() {
            let mut rest = flow.outgoing.data();
            let before = rest.len();
            client.read_tls(&mut rest).unwrap();
            let read = before - rest.len();
            flow.outgoing.consume(read);
            client.process_new_packets().unwrap();
            let _ = client.reader().read_to_end(&mut data);
        }
        data
    }

    #[test]
    fn data_of_any_size_goes_out_whole_and_in_order_under_new_keys_too() {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let (mut client, mut engine, mut flow) = met(version);
            let is_new = version.version == rustls::ProtocolVersion::TLSv1_3;
            assert_eq!(
                engine.common().and_then(|common| common.negotiated_cipher_suite()).map(places),
                Some(is_new)
            );
            for round in 0..4_u8 {
                for size in [1, 100, 16_384, 16_385, MOST_AT_ONCE] {
                    let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8 ^ round).collect();
                    let (first, rest) = data.split_at(size / 3);
                    for piece in [first, rest].into_iter().filter(|piece| !piece.is_empty()) {
                        assert_eq!(engine.run(&mut flow, Wish::Write(piece)).unwrap(), Step::Written);
                    }
                    assert!(tell(&mut client, &mut flow) == data, "{version:?}, round {round}, {size}");
                    // New keys are asked for: the answer goes before what is sealed with them.
                    if is_new && size == 16_385 {
                        client.refresh_traffic_keys().unwrap();
                        hear(&mut client, &mut engine, &mut flow);
                    }
                }
            }
            client.writer().write_all(b"bye").unwrap();
            hear(&mut client, &mut engine, &mut flow);
            let mut room = [0; 8];
            assert_eq!(flow.take_plain(&mut room), 3);
            assert_eq!(engine.run(&mut flow, Wish::Bye).unwrap(), Step::Written);
            assert!(!flow.outgoing.is_empty());
        }
    }
}
