//! Which capabilities of root a process has and keeps (capabilities(7)).
#![allow(unsafe_code)]

use std::io;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid};

use super::epoll::counted;

/// Numbers of `linux/capability.h`.
pub const NET_ADMIN: u8 = 12;
pub const NET_RAW: u8 = 13;
/// Above any capability that a kernel knows.
const NUMBERS: std::ops::Range<u8> = 0..64;
/// `_LINUX_CAPABILITY_VERSION_3`, and its words for each set.
const VERSION: u32 = 0x2008_0522;
const WORDS: usize = 2;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn name(capability: u8) -> &'static str {
    match capability {
        NET_ADMIN => "CAP_NET_ADMIN",
        NET_RAW => "CAP_NET_RAW",
        _ => "a capability",
    }
}

/// Those of `wanted` that are not in effect, by name. Where that cannot be read, none: it is to be tried.
pub fn missing(wanted: &[u8]) -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let has = |capability: &&u8| effective.is_none_or(|effective| effective >> **capability & 1 == 1);
    wanted.iter().filter(|capability| !has(capability)).map(|capability| name(*capability)).collect()
}

/// Becomes user and group, for good, and keeps these capabilities alone, which no program that it starts inherits.
pub fn keep(wanted: &[u8], uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    for capability in NUMBERS.filter(|capability| !wanted.contains(capability)) {
        // Without CAP_SETPCAP, and beyond the last one there is, nothing can be dropped.
        // SAFETY: plain numbers.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
    }
    prctl::set_keepcaps(true)?;
    if let Some(gid) = gid.filter(|gid| *gid > 0) {
        nix::unistd::setgroups(&[])?;
        nix::unistd::setgid(Gid::from_raw(gid))?;
    }
    if let Some(uid) = uid.filter(|uid| *uid > 0) {
        nix::unistd::setuid(Uid::from_raw(uid))?;
    }
    let mut sets = [Sets::default(); WORDS];
    for capability in wanted {
        if let Some(word) = sets.get_mut(usize::from(*capability / 32)) {
            word.permitted |= 1 << (capability % 32);
            word.effective |= 1 << (capability % 32);
        }
    }
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: the header and as many sets as its version says are readable through the call.
    counted(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) })?;
    prctl::set_keepcaps(false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_a_name() {
        // Either way there is an answer for each, and never another one.
        for missing in missing(&[NET_ADMIN, NET_RAW]) {
            assert!(["CAP_NET_ADMIN", "CAP_NET_RAW"].contains(&missing));
        }
        assert_eq!(missing(&[]), [] as [&str; 0]);
    }
}
