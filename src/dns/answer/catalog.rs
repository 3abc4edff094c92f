//! Names that are no records of a zone but are made of what is registered when they are asked for.

use super::ask::Ask;
use crate::dns::message::{Full, Writer};
use crate::dns::wire::Question;

/// Who answers for a domain of such names.
pub trait Catalog: Send + Sync {
    /// Writes the records, the question already written, and says the code. `None`: it is not a name of this domain.
    fn answer(&self, question: &Question, ask: &Ask, writer: &mut Writer<'_>) -> Option<Result<u16, Full>>;
}
