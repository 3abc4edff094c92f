//! A `Waker` without memory of its own: the worker and task it wakes are coded in the pointer.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::task::{RawWaker, RawWakerVTable, Waker};

static WAKE: OnceLock<fn(usize)> = OnceLock::new();

/// Says what waking does with the coded value; the first call wins.
pub fn install(wake: fn(usize)) {
    let _ = WAKE.set(wake);
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop);

fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    if let Some(wake) = WAKE.get() {
        wake(data.addr());
    }
}

fn drop(_: *const ()) {}

/// A waker for a coded value; may be called and dropped on any thread.
pub fn coded(code: usize) -> Waker {
    // SAFETY: the pointer is never dereferenced, cloning copies it and dropping does nothing, so the contract of
    // RawWakerVTable (thread safety, ownership) holds for any value.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(code), &VTABLE)) }
}

/// Whether it is the waker for this value.
pub fn is_coded(waker: &Waker, code: usize) -> bool {
    std::ptr::eq(waker.vtable(), &VTABLE) && waker.data().addr() == code
}
