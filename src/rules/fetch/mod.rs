//! Sample fetches: functions that extract a value from the transaction, one table a family.

mod body;
mod client_hello;
mod constant;
mod cookie;
mod distcc;
mod counter;
mod entry;
mod header;
mod introduced;
mod kernel;
mod layer4;
mod live;
mod progress;
mod rdp;
mod request;
mod response;
mod rule;
mod streams;
mod timeout;
mod tls;
mod url;
mod variable;

pub use constant::check_unit;
pub use entry::{Cursor, Fetch, FetchFn, Needs, find};
pub use introduced::kind_of as tlv_kind;
pub use layer4::address;
pub use rdp::desktop_cookie;
pub use request::{line_parts, origin, path_of, version, without_query};
pub use tls::{suite_name, version as tls_version};
pub use variable::{check_name as check_variable, value as variable_value};

/// Every fetch there is, in families.
pub static FETCHES: &[&[Fetch]] = &[
    constant::FETCHES,
    layer4::FETCHES,
    introduced::FETCHES,
    live::FETCHES,
    request::FETCHES,
    url::FETCHES,
    header::FETCHES,
    cookie::FETCHES,
    response::FETCHES,
    streams::FETCHES,
    timeout::FETCHES,
    tls::FETCHES,
    body::FETCHES,
    client_hello::FETCHES,
    variable::FETCHES,
    progress::FETCHES,
    rule::FETCHES,
    kernel::FETCHES,
    rdp::FETCHES,
    distcc::FETCHES,
    counter::FETCHES[0],
    counter::FETCHES[1],
    counter::FETCHES[2],
    counter::FETCHES[3],
];
