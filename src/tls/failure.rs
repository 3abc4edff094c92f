//! Why a handshake failed, in OpenSSL's numbers and words: what logs and `ssl_fc_err` tell.

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

/// A reason of the library `SSL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As OpenSSL packs it: library and reason.
    pub code: u32,
    pub text: &'static str,
}

/// The library's number in the upper bits.
const SSL: u32 = 0x0a00_0000;

const fn reason(code: u32, text: &'static str) -> Failure {
    Failure { code: SSL | code, text }
}

pub const HTTP_REQUEST: Failure = reason(0x9c, "http request");
pub const WRONG_VERSION_NUMBER: Failure = reason(0x10b, "wrong version number");
/// Of a name that is not served, with `strict-sni`.
pub const CALLBACK_FAILED: Failure = reason(0xea, "callback failed");
pub const NO_SHARED_CIPHER: Failure = reason(0xc1, "no shared cipher");
pub const UNSUPPORTED_PROTOCOL: Failure = reason(0x102, "unsupported protocol");
pub const NO_CERTIFICATE: Failure = reason(0xc7, "peer did not return a certificate");
pub const VERIFY_FAILED: Failure = reason(0x86, "certificate verify failed");

/// Of an alert from the other side.
fn alerted(alert: AlertDescription) -> Failure {
    match u8::from(alert) {
        10 => reason(1010, "sslv3 alert unexpected message"),
        20 => reason(1020, "sslv3 alert bad record mac"),
        40 => reason(1040, "sslv3 alert handshake failure"),
        42 => reason(1042, "sslv3 alert bad certificate"),
        43 => reason(1043, "sslv3 alert unsupported certificate"),
        44 => reason(1044, "sslv3 alert certificate revoked"),
        45 => reason(1045, "sslv3 alert certificate expired"),
        46 => reason(1046, "sslv3 alert certificate unknown"),
        47 => reason(1047, "sslv3 alert illegal parameter"),
        48 => reason(1048, "tlsv1 alert unknown ca"),
        49 => reason(1049, "tlsv1 alert access denied"),
        50 => reason(1050, "tlsv1 alert decode error"),
        51 => reason(1051, "tlsv1 alert decrypt error"),
        70 => reason(1070, "tlsv1 alert protocol version"),
        71 => reason(1071, "tlsv1 alert insufficient security"),
        80 => reason(1080, "tlsv1 alert internal error"),
        90 => reason(1090, "tlsv1 alert user cancelled"),
        112 => reason(1112, "tlsv1 unrecognized name"),
        116 => reason(1116, "tlsv13 alert certificate required"),
        120 => reason(1120, "tlsv1 alert no application protocol"),
        _ => reason(1000, "unknown alert type"),
    }
}

/// What OpenSSL would have said of an error.
pub fn of(error: &Error) -> Failure {
    match error {
        Error::NoCertificatesPresented => NO_CERTIFICATE,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => VERIFY_FAILED,
        Error::AlertReceived(alert) => alerted(*alert),
        Error::PeerIncompatible(why) => match why {
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired => UNSUPPORTED_PROTOCOL,
            PeerIncompatible::NoKxGroupsInCommon => reason(0x65, "no suitable key share"),
            PeerIncompatible::NoSignatureSchemesInCommon => reason(0x76, "no suitable signature algorithm"),
            _ => NO_SHARED_CIPHER,
        },
        Error::InvalidMessage(why) => match why {
            InvalidMessage::UnknownProtocolVersion | InvalidMessage::InvalidContentType => {
                WRONG_VERSION_NUMBER
            }
            InvalidMessage::MessageTooLarge => reason(0x98, "excessive message size"),
            _ => reason(0x9f, "length mismatch"),
        },
        Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec) => {
            reason(0x104, "invalid ccs message")
        }
        Error::DecryptError => reason(0x119, "decryption failed or bad record mac"),
        Error::NoApplicationProtocol => reason(0xeb, "no application protocol"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            reason(0xf4, "unexpected message")
        }
        _ => reason(0x44, "internal error"),
    }
}

impl Failure {
    /// As OpenSSL prints its queue of errors.
    pub fn line(self) -> String {
        format!("error:{:08X}:SSL routines::{}", self.code, self.text)
    }
}
