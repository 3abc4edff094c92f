//! One run of a check.

use std::time::Duration;

use crate::region::map::{Definition, Health, Probe};

use super::machine::{Finding, timeout_ms};
use super::{grpc, http, script, socket};

/// Runs what a definition says, within its time. `None` for a check that nobody has to run.
pub(super) async fn run(definition: &Definition, scripts: bool) -> Option<Finding> {
    let limit = Duration::from_millis(timeout_ms(definition));
    let work = async {
        Some(match &definition.probe {
            Probe::Http { url, method, header, body, skip_verify, no_redirects } => {
                let how = http::How { skip_verify: *skip_verify, redirects: !no_redirects };
                http::check(url, method, header, body, how).await
            }
            Probe::Tcp { address, tls } => socket::tcp(address, *tls).await,
            Probe::Udp { address } => socket::udp(address, limit).await,
            Probe::Grpc { address, tls, skip_verify } => grpc::check(address, *tls, *skip_verify).await,
            Probe::Script { args } if scripts => script::check(args, limit).await,
            Probe::Script { .. } => Finding::critical("Programs are not run on this node (script-checks)."),
            Probe::None | Probe::Ttl { .. } | Probe::Alias { .. } => return None,
        })
    };
    // A program ends its own time, so that none of it is left behind; a silent UDP service is a live one.
    let slack = match definition.probe {
        Probe::Script { .. } | Probe::Udp { .. } => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    match tokio::time::timeout(limit + slack, work).await {
        Ok(finding) => finding,
        Err(_) => Some(Finding::new(Health::Critical, format!("Timed out after {} ms", limit.as_millis()))),
    }
}
