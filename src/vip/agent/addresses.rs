//! Addresses on interfaces: taken under a lease that the kernel ends by itself when the agent does not renew it, given
//! back, and announced to neighbours.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::Nanos;
use crate::base::clock::MS;
use crate::os::netlink::Address;

use super::super::packet::{gratuitous_arp, unsolicited_advertisement};
use super::super::spec::{AddressSpec, InstanceSpec};
use super::network::{Network, is_same};
use super::renewer::Renewer;

/// A frozen or killed agent has an address for so long at most, and what the kernel takes to notice.
const LEASE_S: u32 = 2;
/// The same for a fenced instance, whose lease of the region map ends no sooner than that after the last renewal.
const FENCED_LEASE_S: u32 = 1;
/// How often leases are renewed: several times, so that a late turn costs no address.
const RENEW_NS: Nanos = 400 * MS;

/// What this node holds, by instance.
pub(super) struct Held {
    members: Vec<Option<Vec<Address>>>,
    renew_at: Option<Nanos>,
    /// Members of which an address was gone when it was to be renewed.
    missed: Vec<usize>,
    renewer: Arc<Renewer>,
}

/// All addresses of an instance.
fn all(spec: &InstanceSpec) -> impl Iterator<Item = &AddressSpec> {
    spec.addresses.iter().chain(&spec.excluded)
}

fn resolve(network: &Network, spec: &InstanceSpec) -> Vec<Address> {
    let address = |wanted: &AddressSpec| {
        let device = wanted.interface.as_ref().unwrap_or(&spec.interface);
        Some(Address {
            index: network.link(device)?.index,
            address: wanted.address,
            prefix: wanted.prefix,
            scope: wanted.scope,
            label: wanted.label.clone(),
            broadcast: wanted.broadcast,
            lifetime_s: Some(if spec.settings.fenced { FENCED_LEASE_S } else { LEASE_S }),
        })
    };
    all(spec).filter_map(address).collect()
}

impl Held {
    pub(super) fn new(members: usize, renewer: Arc<Renewer>) -> Held {
        Held { members: vec![None; members], renew_at: None, missed: Vec::new(), renewer }
    }

    /// Who renews what is held.
    pub(super) fn renewer(&self) -> Arc<Renewer> {
        self.renewer.clone()
    }

    /// Everything that is held.
    fn list(&self) -> Vec<Address> {
        self.members.iter().flatten().flatten().cloned().collect()
    }

    /// Whether something of an instance is on its interfaces already.
    pub(super) fn is_there(network: &Network, spec: &InstanceSpec) -> bool {
        let there = |wanted: &Address| network.addresses.iter().any(|known| is_same(known, wanted));
        let wanted = resolve(network, spec);
        !wanted.is_empty() && wanted.iter().all(there)
    }

    /// Puts the addresses of an instance on their interfaces. An error is that of the first that cannot be.
    pub(super) fn take(
        &mut self,
        network: &mut Network,
        member: usize,
        spec: &InstanceSpec,
        now: Nanos,
    ) -> io::Result<()> {
        let (addresses, renewer) = (resolve(network, spec), self.renewer());
        let mut renewed = renewer.pause();
        let results: Vec<_> = addresses.iter().map(|a| network.kernel.netlink.add(a)).collect();
        self.members[member] = Some(addresses);
        self.missed.retain(|missed| *missed != member);
        *renewed = self.list();
        self.renew_at.get_or_insert(now + RENEW_NS);
        results.into_iter().collect()
    }

    pub(super) fn release(&mut self, network: &mut Network, member: usize) -> io::Result<()> {
        let renewer = self.renewer();
        let mut renewed = renewer.pause();
        let Some(addresses) = self.members.get_mut(member).and_then(Option::take) else { return Ok(()) };
        *renewed = self.list();
        // Two instances may move one address.
        let others: Vec<&Address> = self.members.iter().flatten().flatten().collect();
        let ours = addresses.iter().filter(|a| !others.iter().any(|other| is_same(other, a)));
        let results: Vec<_> = ours.map(|a| network.kernel.netlink.remove(a)).collect();
        results.into_iter().collect()
    }

    /// Gives back what a member of another configuration does not hold any more.
    pub(super) fn release_others(&mut self, network: &mut Network, member: usize, kept: &Held, by: usize) {
        let kept = &kept.members[by];
        for address in self.members[member].take().into_iter().flatten() {
            if !kept.iter().flatten().any(|other| is_same(other, &address)) {
                let _ = network.kernel.netlink.remove(&address);
            }
        }
    }

    /// Takes away what a predecessor left.
    pub(super) fn sweep(network: &mut Network, spec: &InstanceSpec) {
        for address in resolve(network, spec) {
            if network.addresses.iter().any(|known| is_same(known, &address)) {
                let _ = network.kernel.netlink.remove(&address);
            }
        }
    }

    /// When [`renew`](Held::renew) has something to do.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.renew_at
    }

    /// Has every lease renewed when it is time. What is found gone [comes back](Held::is_back).
    pub(super) fn renew(&mut self, network: &Network, now: Nanos) {
        if self.renew_at.is_none_or(|at| at > now) {
            return;
        }
        self.renew_at = self.members.iter().any(Option::is_some).then_some(now + RENEW_NS);
        let is_gone = |held: &Address| !network.addresses.iter().any(|known| is_same(known, held));
        for (member, held) in self.members.iter().enumerate() {
            if held.iter().flatten().any(is_gone) && !self.missed.contains(&member) {
                self.missed.push(member);
            }
        }
        self.renewer.ask(now);
    }

    /// The members of which an address that was missed is there again, for neighbours to be told.
    pub(super) fn is_back(&mut self, address: &Address) -> Vec<usize> {
        let has = |member: &usize| {
            let held = self.members.get(*member).into_iter().flatten().flatten();
            held.into_iter().any(|held| is_same(held, address))
        };
        let (back, missed) = self.missed.iter().partition(|member| has(member));
        self.missed = missed;
        back
    }

    /// Says when a lease is to be renewed; for addresses that went away.
    pub(super) fn renew_now(&mut self, now: Nanos) {
        if self.renew_at.is_some() {
            self.renew_at = Some(now);
        }
    }

    /// Whether an address that went away is one of ours.
    pub(super) fn holds(&self, gone: &Address) -> bool {
        self.members.iter().flatten().flatten().any(|held| is_same(held, gone))
    }

    /// The addresses of an instance that are held.
    pub(super) fn of(&self, member: usize) -> Vec<IpAddr> {
        self.members[member].iter().flatten().map(|address| address.address).collect()
    }

    /// Tells neighbours, round after round.
    pub(super) fn announce(&self, network: &Network, member: usize, repeat: u32) -> io::Result<()> {
        let mut frames = Vec::new();
        for held in self.members[member].iter().flatten() {
            let Some(mac) = network.links.get(&held.index).and_then(|link| link.mac) else { continue };
            let frame = match held.address {
                IpAddr::V4(ip) => gratuitous_arp(mac, ip),
                IpAddr::V6(ip) => unsolicited_advertisement(mac, ip, false),
            };
            frames.push((frame, held.index));
        }
        for _ in 0..repeat {
            for (frame, index) in &frames {
                match network.kernel.frames.send(frame, *index) {
                    // The queue is full: the next round comes.
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    done => done?,
                }
            }
        }
        Ok(())
    }
}
