//! `service` lines.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::lang::{Span, suggest};
use crate::model::{Address, ServerSpec};

use super::super::service::{OVERFLOW_PERCENT, Reach, ServiceSpec};
use super::declared::ServiceDraft;
use super::draft::{Cx, Draft, Kind};
use super::keyword::Scope;
use super::server::invalid_char;
use crate::lang::args::{Args, Cursor};

const OPTIONS: [&str; 5] = ["check", "max", "overflow", "regions", "tag"];

/// `service <name> [regions local|nearest|any|R1,R2] [tag T] [check] [overflow 70%] [max N]`.
pub fn service_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.px.kind == Kind::Frontend {
        let message = format!("'service' not allowed because {} has no backend capability.", scope.title());
        return scope.alert(args.at(0), message);
    }
    let Some(name) = scope.needed(args, 1, "the name of a service") else { return };
    if let Some(c) = invalid_char(name, false) {
        let message = format!("character '{c}' is not permitted in service name '{name}'.");
        return scope.alert(args.at(1), message);
    }
    let mut draft = ServiceDraft {
        at: args.span,
        name,
        reach: Reach::default(),
        tags: Vec::new(),
        check: scope.px.set.default_server.spec.has_check,
        overflow_percent: OVERFLOW_PERCENT,
        max: 0,
        set: scope.px.set.default_server.clone(),
    };
    let mut cursor = Cursor::new(args, 2);
    while !cursor.is_done() {
        if option(scope, &mut draft, &mut cursor).is_none() {
            return;
        }
    }
    if scope.px.services.iter().any(|s| s.name == draft.name && s.tags == draft.tags) {
        let message = format!("service '{name}' is there already with the same tags.");
        return scope.alert(args.at(1), message);
    }
    scope.px.services.push(draft);
}

/// Reads one option. `None` after an alert.
fn option<'a>(
    scope: &mut Scope<'_, 'a>,
    draft: &mut ServiceDraft<'a>,
    cursor: &mut Cursor<'a>,
) -> Option<()> {
    let at = cursor.at();
    let word = cursor.take()?.str();
    let mut value = |scope: &mut Scope<'_, 'a>, what: &str| match cursor.take() {
        Some(value) => Some((value.str(), value.span)),
        None => {
            scope.alert(at, format!("'{word}' expects {what}."));
            None
        }
    };
    match word {
        "check" => draft.check = true,
        "regions" => {
            let (text, at) = value(scope, "'local', 'nearest', 'any' or a list of regions")?;
            draft.reach = reach(scope, text, at)?;
        }
        "tag" => draft.tags.push(value(scope, "a tag")?.0.into()),
        "overflow" => {
            let (text, at) = value(scope, "a percentage")?;
            let percent = text.strip_suffix('%').unwrap_or(text).parse();
            match percent {
                Ok(n @ 1..=100) => draft.overflow_percent = n,
                _ => {
                    scope
                        .alert(at, format!("'overflow' expects a percentage from 1% to 100%, got '{text}'."));
                    return None;
                }
            }
        }
        "max" => {
            let (text, at) = value(scope, "a number of servers")?;
            match text.parse() {
                Ok(n) if n > 0 => draft.max = n,
                _ => {
                    scope.alert(at, format!("'max' expects a number of servers, got '{text}'."));
                    return None;
                }
            }
        }
        _ => {
            let hint = suggest::hint(word, OPTIONS);
            scope.cx.diags.alert_hint(at, format!("'service' unknown keyword '{word}'."), hint);
            return None;
        }
    }
    Some(())
}

fn reach(scope: &mut Scope<'_, '_>, text: &str, at: Span) -> Option<Reach> {
    let mut list: Vec<Arc<str>> = Vec::new();
    match text {
        "local" => return Some(Reach::Local),
        "nearest" => return Some(Reach::Nearest),
        "any" => return Some(Reach::Any),
        _ => {}
    }
    for region in text.split(',') {
        if let Some(c) = invalid_char(region, false) {
            let message = format!("character '{c}' is not permitted in region name '{region}'.");
            scope.alert(at, message);
            return None;
        }
        if list.iter().any(|known| **known == *region) {
            scope.alert(at, format!("region '{region}' is there already."));
            return None;
        }
        list.push(region.into());
    }
    Some(Reach::Regions(list))
}

/// The lines of a section as values.
pub fn specs(cx: &mut Cx<'_>, draft: &Draft<'_>) -> Vec<ServiceSpec> {
    draft.services.iter().map(|service| spec(cx, draft, service)).collect()
}

fn spec(cx: &mut Cx<'_>, draft: &Draft<'_>, service: &ServiceDraft<'_>) -> ServiceSpec {
    let title = format!("'service {}/{}'", draft.name, service.name);
    let tls = super::tls::server(cx, service.at, &title, &service.set.tls, None);
    let is_off = service.set.tls.is_off;
    let check = service.check.then(|| {
        super::checks::names_section(cx, service.at, &title, &service.set);
        let mut check = super::checks::spec(cx, draft, &service.set);
        let own = tls.clone().filter(|_| !is_off);
        check.tls = super::tls::check(cx, (service.at, &title), &service.set.tls, own.as_ref(), &check);
        check
    });
    ServiceSpec {
        name: service.name.into(),
        reach: service.reach.clone(),
        tags: service.tags.clone(),
        check,
        overflow_percent: service.overflow_percent,
        max: service.max,
        template: Arc::new(ServerSpec { tls, tls_is_off: is_off, ..template(draft, service) }),
    }
}

/// A server without a name, a number and an address of its own. The map says how it is.
fn template(draft: &Draft<'_>, service: &ServiceDraft<'_>) -> ServerSpec {
    let nowhere = Address::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let spec = super::backend::finished("", 0, nowhere, &service.set, draft);
    ServerSpec { has_check: false, ..spec }
}
