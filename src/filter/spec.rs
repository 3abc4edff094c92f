//! What a `filter` line says: a filter of a proxy, in the place that it has among others.

use std::sync::Arc;

use super::cache::Cache;

/// A filter of a proxy.
#[derive(Clone, Debug)]
pub enum Spec {
    /// `filter comp-req`, `filter comp-res`; `filter compression` is both, and so is what `compression` lines imply.
    CompressRequests,
    CompressResponses,
    /// `filter cache <name>`, and what rules about a cache imply.
    Cache(Arc<Cache>),
}

/// Caches are told apart by their place.
impl PartialEq for Spec {
    fn eq(&self, other: &Spec) -> bool {
        match (self, other) {
            (Spec::Cache(one), Spec::Cache(other)) => Arc::ptr_eq(one, other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Spec {
    pub fn compresses(&self) -> bool {
        matches!(self, Spec::CompressRequests | Spec::CompressResponses)
    }

    /// The others have no place beside it unless lines say which.
    pub fn needs_order(&self) -> bool {
        !self.compresses() && !matches!(self, Spec::Cache(_))
    }
}
