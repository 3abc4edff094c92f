//! What the stats page answers: who may see it, in which form, and what a posted form does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::config::proxy::StatsSpec;
use crate::config::{Config, Proxy};
use crate::model::applet::{Applet, AppletBody, AppletReply, AppletRequest};

use super::action::{self, Outcome};
use super::html;
use crate::admin::control::{Control, Found, not_yet, process, snapshot};
use crate::admin::stat::{Show, render};

/// Longest `scope=` that is searched for.
const MAX_SEARCH: usize = 20;

/// The service `stats` of a configuration: one for all proxies.
pub struct StatsPage {
    found: Found,
}

impl StatsPage {
    pub fn new(found: Found) -> StatsPage {
        StatsPage { found }
    }
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Html,
    Csv,
    Typed,
    Json,
}

/// What the target asks for behind the page's own URI.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    form: Form,
    pub hide_down: bool,
    pub hide_maint: bool,
    pub no_refresh: bool,
    /// `scope=`
    pub search: String,
    /// `;st=`: how the action before went.
    pub outcome: Option<Outcome>,
}

impl Options {
    fn parse(text: &str) -> Options {
        let form = [(";json", Form::Json), (";typed", Form::Typed), (";csv", Form::Csv)];
        let form =
            form.into_iter().find(|(word, _)| text.contains(word)).map_or(Form::Html, |(_, form)| form);
        let after = |word: &str| text.find(word).map(|at| &text[at + word.len()..]);
        let search = after("scope=").map(|t| t.split([';', '&', ' ', '#']).next().unwrap_or_default());
        let search: String = search.unwrap_or_default().chars().take(MAX_SEARCH).collect();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        Options {
            form,
            hide_down: text.contains(";up"),
            hide_maint: text.contains(";no-maint"),
            no_refresh: text.contains(";norefresh"),
            search: if search.chars().all(is_name) { search } else { String::new() },
            outcome: after(";st=").map(Outcome::parse),
        }
    }

    /// The options as the end of a link, without outcome and form.
    pub fn suffix(&self, change: impl FnOnce(&mut Options)) -> String {
        let mut options = self.clone();
        change(&mut options);
        let mut text = String::new();
        for (is_on, word) in [
            (options.hide_down, ";up"),
            (options.hide_maint, ";no-maint"),
            (options.no_refresh, ";norefresh"),
        ] {
            text.push_str(if is_on { word } else { "" });
        }
        if !options.search.is_empty() {
            text.push_str("?scope=");
            text.push_str(&options.search);
        }
        text
    }
}

fn reply(status: u16, content_type: &str, body: String) -> AppletReply {
    AppletReply {
        status,
        headers: vec![
            ("cache-control".into(), "no-cache".into()),
            ("content-type".into(), content_type.into()),
        ],
        body: AppletBody::Bytes(Bytes::from(body)),
        delay_ms: 0,
        close: false,
    }
}

fn find<'a>(config: &'a Config, name: &str) -> Option<(&'a Proxy, &'a StatsSpec)> {
    let named = config.proxies.iter().filter(|p| *p.name == *name);
    named.filter_map(|p| Some((p, p.stats.as_deref()?))).next()
}

/// Whether the request carries one of the accounts.
fn is_known(request: &AppletRequest<'_>, accounts: &[(String, String)]) -> bool {
    let Some(header) = (request.header)("authorization") else { return false };
    let Ok(header) = String::from_utf8(header) else { return false };
    let Some((scheme, token)) = header.split_once(' ') else { return false };
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(given) = STANDARD.decode(token.trim()) else { return false };
    // Every account is looked at to its end: time tells nothing of where they differ.
    let matches = accounts.iter().filter(|(user, password)| {
        let account = format!("{user}:{password}");
        let differ = account.bytes().zip(&given).fold(0u8, |sum, (a, b)| sum | (a ^ b));
        differ == 0 && account.len() == given.len()
    });
    matches.count() > 0
}

fn refuse(spec: &StatsSpec) -> AppletReply {
    let text =
        "<html><body><h1>401 Unauthorized</h1>\nThis page asks for a user and a password.\n</body></html>\n";
    let mut reply = reply(401, "text/html", text.to_owned());
    let realm = spec.realm.replace('\\', "\\\\").replace('"', "\\\"");
    reply.headers.push(("www-authenticate".into(), format!("Basic realm=\"{realm}\"")));
    reply
}

impl Applet for StatsPage {
    fn log_name(&self) -> &'static str {
        "<STATS>"
    }

    fn reads_body(&self, method: &[u8]) -> bool {
        method == b"POST"
    }

    fn call(&self, request: &AppletRequest<'_>) -> AppletReply {
        let Some(control) = (self.found)() else { return not_yet() };
        let config = control.config();
        let Some((proxy, spec)) = find(&config, request.proxy) else {
            return reply(404, "text/plain", "This proxy has no statistics page.\n".into());
        };
        if !spec.auth.is_empty() && !is_known(request, &spec.auth) {
            return refuse(spec);
        }
        let target = String::from_utf8_lossy(request.target);
        let uri = String::from_utf8_lossy(&spec.uri);
        // Absolute targets (`http://host/stats`) have the URI somewhere in them.
        let rest = target.find(&*uri).map_or("", |at| &target[at + uri.len()..]);
        let options = Options::parse(rest);
        match request.method {
            b"GET" | b"HEAD" => show(&*control, proxy, spec, &options, request),
            b"POST" => {
                let outcome = match (request.is_admin, request.is_whole) {
                    (false, _) => Outcome::Denied,
                    (true, false) => Outcome::TooMuch,
                    (true, true) => action::run(&*control, &config, request.body),
                };
                redirect(&uri, &options, outcome)
            }
            _ => redirect(&uri, &options, Outcome::Invalid),
        }
    }
}

fn show(
    control: &dyn Control,
    proxy: &Proxy,
    spec: &StatsSpec,
    options: &Options,
    request: &AppletRequest<'_>,
) -> AppletReply {
    let scope = spec.scope.iter().map(|s| if s == "." { proxy.name.to_string() } else { s.clone() });
    let show = Show {
        legends: spec.show_legends,
        hide_down: options.hide_down,
        hide_maint: options.hide_maint,
        scope: scope.collect(),
        search: options.search.clone(),
        ..Show::default()
    };
    let snapshot = snapshot(control, show);
    let is_head = request.method == b"HEAD";
    let (content_type, body) = match options.form {
        // Nobody reads it, and its length is not told.
        Form::Html if is_head => ("text/html", String::new()),
        Form::Json if is_head => ("application/json", String::new()),
        _ if is_head => ("text/plain", String::new()),
        Form::Html => {
            let page = html::Page {
                snapshot: &snapshot,
                process: &process(control),
                spec,
                options,
                is_admin: request.is_admin,
                vips: &control.vips(),
            };
            ("text/html", page.render())
        }
        Form::Csv => ("text/plain", render::csv(&snapshot)),
        Form::Typed => ("text/plain", render::typed(&snapshot, false)),
        Form::Json => ("application/json", render::json(&snapshot)),
    };
    let mut reply = reply(200, content_type, body);
    if is_head {
        reply.body = AppletBody::None;
    }
    if let Some(seconds) = spec.refresh_s.filter(|s| *s > 0 && !options.no_refresh) {
        reply.headers.push(("refresh".into(), seconds.to_string()));
    }
    reply
}

/// A page that was posted to would be posted again when reloaded: the browser is sent back to it.
fn redirect(uri: &str, options: &Options, outcome: Outcome) -> AppletReply {
    let mut reply = reply(303, "text/plain", String::new());
    reply.headers.push(("content-length".into(), "0".into()));
    let location = format!("{uri};st={}{}", outcome.code(), options.suffix(|_| {}));
    reply.headers.push(("location".into(), location));
    reply
}
