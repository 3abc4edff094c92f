//! Keys and values: `/v1/kv`, and transactions over them and the registry: `/v1/txn`.

pub mod key;
pub mod txn;
