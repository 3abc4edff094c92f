//! Records that one library sealed are opened by the other.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite as other};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData,
    SupportedCipherSuite,
};

use crate::base::buf::Buf;
use crate::tls::Anyone;
use crate::tls::gcm::{By, done_by, places, placing};
use crate::tls::testing::Issuer;

fn speaking(suite: SupportedCipherSuite) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: vec![suite], ..aws_lc_rs::default_provider() })
}

/// Both sides, each with its own suite.
fn sides(client: SupportedCipherSuite, server: SupportedCipherSuite) -> (ClientConnection, ServerConnection) {
    let shows = Issuer::new().certified(&["a.test"]);
    let config = ServerConfig::builder_with_provider(speaking(server))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shows.key.clone())));
    let far = ServerConnection::new(Arc::new(config)).unwrap();
    let config = ClientConfig::builder_with_provider(speaking(client))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let near = ClientConnection::new(Arc::new(config), "a.test".try_into().unwrap()).unwrap();
    (near, far)
}

/// What one has for the other goes there.
fn deliver<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

/// Moves what each has for the other, until neither has anything.
fn exchange(near: &mut ClientConnection, far: &mut ServerConnection) -> Result<(), rustls::Error> {
    while near.wants_write() || far.wants_write() {
        deliver(&mut **near, &mut **far)?;
        deliver(&mut **far, &mut **near)?;
    }
    Ok(())
}

fn suites() -> [(SupportedCipherSuite, By); 4] {
    let (short, long) = (other::TLS13_AES_128_GCM_SHA256, other::TLS13_AES_256_GCM_SHA384);
    [(short, By::AwsLc), (long, By::AwsLc), (short, By::Ring), (long, By::Ring)]
}

#[test]
fn what_one_library_sealed_the_other_opens() {
    for (suite, by) in suites() {
        let ours = done_by(by, suite);
        assert_eq!(ours.suite(), suite.suite());
        assert!(places(ours) && !places(suite));
        for (client, server) in [(suite, ours), (ours, suite), (ours, ours)] {
            let (mut near, mut far) = sides(client, server);
            exchange(&mut near, &mut far).unwrap();
            for size in [1, 15, 16, 17, 255, 16_383, 16_384] {
                let data: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
                let mut got = vec![0; size];
                near.writer().write_all(&data).unwrap();
                exchange(&mut near, &mut far).unwrap();
                far.reader().read_exact(&mut got).unwrap();
                assert!(got == data, "{suite:?}, {size} to the server");
                got.fill(0);
                far.writer().write_all(&data).unwrap();
                exchange(&mut near, &mut far).unwrap();
                near.reader().read_exact(&mut got).unwrap();
                assert!(got == data, "{suite:?}, {size} to the client");
            }
            // New keys are the next side's own.
            near.refresh_traffic_keys().unwrap();
            far.refresh_traffic_keys().unwrap();
            near.writer().write_all(b"after").unwrap();
            exchange(&mut near, &mut far).unwrap();
            let mut got = [0; 5];
            far.reader().read_exact(&mut got).unwrap();
            assert_eq!(&got, b"after");
        }
    }
}

#[test]
fn a_record_with_a_bit_turned_or_cut_short_is_not_opened() {
    for (suite, by) in suites() {
        for at in [5, 20, -1, -17_isize] {
            let (mut near, mut far) = sides(suite, done_by(by, suite));
            exchange(&mut near, &mut far).unwrap();
            near.writer().write_all(&[7; 100]).unwrap();
            let mut record = Vec::new();
            near.write_tls(&mut record).unwrap();
            let place = at.rem_euclid(record.len() as isize) as usize;
            record[place] ^= 1;
            far.read_tls(&mut &record[..]).unwrap();
            assert_eq!(far.process_new_packets().unwrap_err(), rustls::Error::DecryptError, "{at}");
        }
        // Shorter than a tag.
        let (mut near, mut far) = sides(suite, done_by(by, suite));
        exchange(&mut near, &mut far).unwrap();
        far.read_tls(&mut &[23, 3, 3, 0, 4, 1, 2, 3, 4][..]).unwrap();
        assert_eq!(far.process_new_packets().unwrap_err(), rustls::Error::DecryptError);
    }
}

/// A place that a call which failed had is nobody's afterwards.
#[test]
fn a_place_is_given_back_whatever_comes_of_the_call() {
    let mut out = Buf::take(64);
    out.push(b"before");
    assert_eq!(placing(&mut out, |_| Err::<usize, _>("refused")), Err("refused"));
    assert_eq!(out.data(), b"before");
    // What rustls had sealed before goes first.
    assert_eq!(
        placing(&mut out, |room| Ok::<_, ()>({
            room[..3].copy_from_slice(b"abc");
            3
        })),
        Ok(())
    );
    assert_eq!(out.data(), b"beforeabc");
    let panicked =
        std::panic::catch_unwind(|| placing(&mut Buf::take(64), |_| -> Result<usize, ()> { panic!() }));
    assert!(panicked.is_err());
    let (suite, by) = suites()[0];
    let (mut near, mut far) = sides(suite, done_by(by, suite));
    exchange(&mut near, &mut far).unwrap();
}
