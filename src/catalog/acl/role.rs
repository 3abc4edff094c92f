//! Roles: `/v1/acl/role`.

use serde_json::json;

use super::enabled::enabled;
use super::policy::{keep, valid_name};
use super::store::new_uuid;
use super::token::grants;
use crate::catalog::record::{self, ROLE};
use crate::catalog::request::{Access, Call, Fault, Outcome};

async fn write(call: &Call, id: String) -> Outcome {
    let fields = call.fields()?;
    let name = fields.text("Name")?;
    valid_name(&name)?;
    let map = call.read_own().await?;
    let mut role = json!({
        "ID": id, "Name": &*name, "Description": &*fields.text("Description")?, "Hash": "",
    });
    grants(&map, &fields, &mut role, false)?;
    keep(call, ROLE, &id, &role).await
}

pub async fn create(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    write(call, new_uuid()).await
}

pub async fn update(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let id = call.arg("Missing role ID")?.to_owned();
    let map = call.read_own().await?;
    if record::get(&map, ROLE, &id).is_none() {
        return Err(Fault::not_found("Requested role does not exist: ACL not found"));
    }
    write(call, id).await
}
