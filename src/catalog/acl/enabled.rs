//! Whether access control is on, which its endpoints need.

use crate::catalog::request::{Access, Call, Fault, Resource};

/// The endpoints of access control need it to be on.
pub fn enabled(call: &Call, access: Access) -> Result<(), Fault> {
    if call.api.settings.write_token.is_none() {
        return Err(Fault::acl_disabled());
    }
    call.require(Resource::Acl, "", access)
}
