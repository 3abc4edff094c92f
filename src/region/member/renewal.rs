//! Keeps this member's certificate fresh, and brings the authority of a cluster that it formed into the map. A cluster
//! of one that had none gets one: so a lone node comes to have company.

use std::sync::Arc;
use std::time::Duration;

use super::super::map::{Command, Role};
use super::super::raft::frame::Denial;
use super::super::raft::node::{Node, deny};
use super::super::raft::proposer;
use super::authority::RECORD;
use super::enrolling::{authority, put_secret};
use super::token::record_of;
use super::trust::{Trust, TrustError};
use crate::base::clock;

/// Between two looks at the certificate.
const EVERY: Duration = Duration::from_secs(600);
/// While something is to be done, or could not be.
const SOON: Duration = Duration::from_millis(250);

/// Looks without an authority after which that is said.
const PATIENCE: u32 = 40;

pub(super) async fn run(node: &Arc<Node>) {
    let Some(trust) = &node.trust else { return };
    let (mut published, mut looks) = (false, 0);
    loop {
        if !published {
            published = publish(node, trust).await.inspect_err(trouble).unwrap_or(false);
        }
        looks += 1;
        if looks == PATIENCE && !published && !trust.holds(clock::wall()) {
            tracing::warn!(
                "region map: the cluster that this node is of has no CA of its own that it could see: if it was formed \
                 without one, its nodes need 'crt' and 'ca-file' after 'ssl', or 'insecure'"
            );
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
    let refused = |e: TrustError| Denial::Refused(e.to_string());
    let authority = match trust.unpublished().map_err(refused)? {
        Some(authority) => authority,
        None if node.view.map().secret(RECORD).is_some() => return Ok(true),
        None if is_alone(node) => trust.found(node.log.identity().cluster).map_err(refused)?,
        None => return Ok(false),
    };
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

/// There is nobody who could make an authority too.
fn is_alone(node: &Node) -> bool {
    node.leased_index().is_some()
        && node.status().voters == [node.id()]
        && node.view.map().members().count() <= 1
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
