//! Keeps this member's certificate fresh, and brings the authority of a cluster that it formed into the map.

use std::sync::Arc;
use std::time::Duration;

use super::super::map::{Command, Role};
use super::super::raft::frame::Denial;
use super::super::raft::node::{Node, deny};
use super::super::raft::proposer;
use super::authority::RECORD;
use super::enrolling::{authority, put_secret};
use super::token::record_of;
use super::trust::Trust;
use crate::base::clock;

/// Between two looks at the certificate.
const EVERY: Duration = Duration::from_secs(600);
/// While something is to be done, or could not be.
const SOON: Duration = Duration::from_millis(250);

pub(super) async fn run(node: &Arc<Node>) {
    let Some(trust) = &node.trust else { return };
    let mut published = false;
    loop {
        if !published {
            published = publish(node, trust).await.inspect_err(trouble).unwrap_or(false);
        }
        let renewed = renew(node, trust).await;
        // One without a certificate that holds is cut off: that is said when it is over.
        if let Err(e) = &renewed
            && trust.holds(clock::wall())
        {
            trouble(e);
        }
        tokio::time::sleep(if published && renewed.is_ok() { EVERY } else { SOON }).await;
    }
}

fn trouble(e: &Denial) {
    tracing::debug!("region map: certificates: {e}");
}

/// Puts the authority that this node made into the map, and join tokens beside it. Whether nothing is left to do.
async fn publish(node: &Node, trust: &Arc<Trust>) -> Result<bool, Denial> {
    let unpublished = trust.unpublished().map_err(|e| Denial::Refused(e.to_string()))?;
    let Some(authority) = unpublished else { return Ok(true) };
    if node.view.map().secret(RECORD).is_none() {
        let command = Command::SecretPut { name: RECORD.into(), value: authority.to_pem() };
        proposer::ask(node, command).await.map_err(deny)?;
    }
    for role in [Role::Manager, Role::Worker] {
        if node.view.map().secret(record_of(role)).is_none() {
            put_secret(node, role).await?;
        }
    }
    trust.published();
    Ok(true)
}

/// Gets this member its next certificate when it is time.
async fn renew(node: &Node, trust: &Arc<Trust>) -> Result<(), Denial> {
    let id = node.id();
    if !trust.wants(id, clock::wall()) {
        return Ok(());
    }
    let authority = authority(node)?;
    let (trust, name) = (trust.clone(), node.name.clone());
    let issued = tokio::task::spawn_blocking(move || trust.issue_own(&authority, id, &name)).await;
    match issued {
        Ok(Ok(())) => {
            tracing::info!("region map: this member has a new certificate");
            Ok(())
        }
        Ok(Err(e)) => Err(Denial::Refused(e.to_string())),
        Err(e) => Err(Denial::Refused(e.to_string())),
    }
}
