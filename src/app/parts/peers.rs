//! `peers` sections beside the proxy: their sockets, and what runs of them. A section goes on where nothing of it has changed.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{MutexGuard, PoisonError};

use crate::model::Address;
use crate::os::bind::{BindAddress, BindSpec, SocketKind};
use crate::os::opener::Opener;
use crate::os::socket;
use crate::peers::{Group, Spec};

use super::super::program::BindError;
use super::super::services::Groups;
use super::super::sockets::inherited;
use super::part::Means;

type Socket = (Address, OwnedFd);

/// The sections that run, and the sockets of those that were prepared.
pub(super) struct Sections {
    groups: Groups,
    sockets: Vec<Socket>,
    /// For each section in file order.
    ready: Option<Vec<Vec<Socket>>>,
}

impl Sections {
    pub(super) fn new(groups: Groups) -> Sections {
        Sections { groups, sockets: Vec::new(), ready: None }
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds what is new; a socket whose address stays is the same one.
    pub(super) fn prepare(&mut self, specs: &[Spec], means: &Means<'_>) -> Result<(), BindError> {
        self.ready = None;
        let mut ready = Vec::new();
        for spec in specs {
            let mut sockets = Vec::new();
            for listen in spec.listens.iter().filter(|_| !spec.is_off) {
                let before = self.sockets.iter().find(|(address, _)| *address == listen.address);
                let kept = before.and_then(|(_, fd)| fd.try_clone().ok());
                let fd = match kept {
                    Some(fd) => fd,
                    None => bind(&listen.address, means.opener).map_err(|e| BindError {
                        in_use: e.kind() == std::io::ErrorKind::AddrInUse,
                        message: format!(
                            "Starting peers {}: cannot bind socket ({}) [{}]",
                            spec.name,
                            crate::lang::load::reason(&e),
                            listen.address
                        ),
                    })?,
                };
                sockets.push((listen.address.clone(), fd));
            }
            ready.push(sockets);
        }
        self.ready = Some(ready);
        Ok(())
    }

    /// Lets go of what was bound and is not used.
    pub(super) fn abandon(&mut self) {
        self.ready = None;
    }

    /// Runs these sections, for which everything is prepared; called within the control runtime.
    pub(super) fn commit(&mut self, specs: &[Spec]) {
        let Some(ready) = self.ready.take() else { return };
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *groups);
        let mut kept = Vec::new();
        for (spec, sockets) in specs.iter().zip(ready) {
            let at = before.iter().position(|group| group.spec().name == spec.name);
            let old = at.map(|at| before.swap_remove(at));
            let again = |(_, fd): &Socket| fd.as_fd().try_clone_to_owned().ok();
            let group = match old {
                Some(old) if old.spec().is_same(spec) => old,
                old => {
                    let given: Vec<OwnedFd> = sockets.iter().filter_map(again).collect();
                    Group::start(spec.clone(), given, old.as_ref())
                }
            };
            groups.push(group);
            kept.extend(sockets);
        }
        self.sockets = kept;
    }

    /// Ends all of them.
    pub(super) fn stop(&mut self) {
        self.groups().clear();
        self.sockets.clear();
    }
}

fn bind(address: &Address, opener: &Opener) -> std::io::Result<OwnedFd> {
    let address = match address {
        Address::Inet(address) => BindAddress::Inet(*address),
        Address::Unix(path) => BindAddress::Unix(path.clone()),
        Address::Abstract(name) => BindAddress::Abstract(name.to_vec()),
        Address::Fd(number) => return inherited(*number),
    };
    let spec = BindSpec::new(address, SocketKind::Stream);
    let fd = opener.bind(&spec)?;
    socket::listen(fd.as_raw_fd(), spec.backlog)?;
    Ok(fd)
}
