//! Checks by gRPC's health protocol (`grpc.health.v1.Health/Check`), over HTTP/2.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Request, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::region::map::Health;
use crate::tls::client::host_of;

use super::machine::Finding;
use super::{socket, tls};

/// Longest answer that is read.
const ANSWER_MAX: usize = 64 << 10;

/// `address` is `host:port` or `host:port/service`.
pub(super) async fn check(address: &str, with_tls: bool, skip_verify: bool) -> Finding {
    let (target, service) = address.split_once('/').unwrap_or((address, ""));
    match serving(target, service, with_tls, skip_verify).await {
        Ok(1) => Finding::new(Health::Passing, format!("gRPC check {address}: success")),
        Ok(status) => {
            let word = match status {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "an unknown status",
            };
            Finding::critical(format!("gRPC check {address}: {word}"))
        }
        Err(what) => Finding::critical(format!("gRPC check {address}: {what}")),
    }
}

async fn serving(target: &str, service: &str, with_tls: bool, skip_verify: bool) -> Result<u64, String> {
    let stream = socket::connect(target).await.map_err(|e| e.to_string())?;
    if with_tls {
        let stream = tls::connect(stream, host_of(target), &[b"h2"], skip_verify).await;
        return ask(stream.map_err(|e| e.to_string())?, "https", target, service).await;
    }
    ask(stream, "http", target, service).await
}

async fn ask<S>(stream: S, scheme: &str, target: &str, service: &str) -> Result<u64, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sender, connection) = h2::client::handshake(stream).await.map_err(|e| e.to_string())?;
    let exchange = exchange(sender, scheme, target, service);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => match ended {
            Ok(()) => Err("the connection was closed".to_owned()),
            Err(e) => Err(e.to_string()),
        },
    }
}

async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    scheme: &str,
    target: &str,
    service: &str,
) -> Result<u64, String> {
    let mut sender = sender.ready().await.map_err(|e| e.to_string())?;
    let request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("{scheme}://{target}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "isobar")
        .body(())
        .map_err(|e| e.to_string())?;
    let (response, mut body) = sender.send_request(request, false).map_err(|e| e.to_string())?;
    body.send_data(message(service), true).map_err(|e| e.to_string())?;
    let response = response.await.map_err(|e| e.to_string())?;
    if response.status() != 200 {
        return Err(format!("HTTP status {}", response.status()));
    }
    let of_grpc = |fields: &http::HeaderMap, name: &str| {
        fields.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
    };
    let mut code = of_grpc(response.headers(), "grpc-status");
    let mut text = of_grpc(response.headers(), "grpc-message");
    let mut body = response.into_body();
    let mut answer = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|e| e.to_string())?;
        let _ = body.flow_control().release_capacity(data.len());
        if answer.len() + data.len() > ANSWER_MAX {
            return Err("the answer is too long".to_owned());
        }
        answer.extend_from_slice(&data);
    }
    if let Some(trailers) = body.trailers().await.map_err(|e| e.to_string())? {
        code = of_grpc(&trailers, "grpc-status").or(code);
        text = of_grpc(&trailers, "grpc-message").or(text);
    }
    match code.as_deref() {
        Some("0") => status(&answer).ok_or_else(|| "the answer is no HealthCheckResponse".to_owned()),
        Some(code) => Err(format!("gRPC status {code} {}", text.unwrap_or_default())),
        None => Err("the answer has no grpc-status".to_owned()),
    }
}

/// `HealthCheckRequest { service = 1 }` with gRPC's prefix: not compressed, length.
fn message(service: &str) -> Bytes {
    let mut inner = BytesMut::new();
    if !service.is_empty() {
        inner.put_u8(0x0a);
        varint(&mut inner, service.len() as u64);
        inner.put_slice(service.as_bytes());
    }
    let mut out = BytesMut::with_capacity(5 + inner.len());
    out.put_u8(0);
    out.put_u32(inner.len() as u32);
    out.put_slice(&inner);
    out.freeze()
}

fn varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// `status = 1` of a `HealthCheckResponse` behind its prefix. What is not said is 0 (UNKNOWN).
pub(super) fn status(answer: &[u8]) -> Option<u64> {
    let (prefix, rest) = answer.split_at_checked(5)?;
    let len = u32::from_be_bytes(prefix[1..].try_into().ok()?) as usize;
    if prefix[0] != 0 || rest.len() != len {
        return None;
    }
    let (mut rest, mut found) = (rest, 0);
    while !rest.is_empty() {
        let tag = take_varint(&mut rest)?;
        match tag & 7 {
            0 => {
                let value = take_varint(&mut rest)?;
                found = if tag >> 3 == 1 { value } else { found };
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let len = usize::try_from(take_varint(&mut rest)?).ok()?;
                rest = rest.get(len..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
