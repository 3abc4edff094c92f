//! Every syscall, and the only `unsafe` code.
