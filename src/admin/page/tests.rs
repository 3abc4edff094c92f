//! The stats page: forms, accounts, actions.

use std::sync::Arc;

use super::StatsPage;
use crate::admin::testing::Fake;
use crate::model::AdminState;
use crate::model::applet::{Applet, AppletBody, AppletReply, AppletRequest};

const TEXT: &str = "\
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend fe
    bind 127.0.0.1:24001
    stats enable
    stats uri /stats
    stats refresh 5s
    stats show-legends
    stats admin if TRUE
    default_backend b1
frontend closed
    bind 127.0.0.1:24002
    stats uri /
    stats realm A\\ \\\"B\\\"
    stats auth admin:pass:word
    stats scope .
backend b1
    id 3
    server srv1 127.0.0.1:1
    server srv2 127.0.0.1:2
    server srv3 127.0.0.1:3
backend b2
    id 4
    server srv1 127.0.0.1:1
";

struct Site {
    fake: Arc<Fake>,
    page: StatsPage,
}

fn site() -> Site {
    let fake = Fake::new(TEXT);
    Site { page: StatsPage::new(fake.found()), fake }
}

impl Site {
    fn call(&self, proxy: &str, method: &str, target: &str, body: &str, auth: Option<&str>) -> AppletReply {
        let header = |name: &str| auth.filter(|_| name == "authorization").map(|a| a.as_bytes().to_vec());
        self.page.call(&AppletRequest {
            method: method.as_bytes(),
            target: target.as_bytes(),
            body: body.as_bytes(),
            is_whole: true,
            header: &header,
            proxy,
            is_admin: proxy == "fe",
        })
    }

    fn text(&self, target: &str) -> String {
        body(self.call("fe", "GET", target, "", None))
    }
}

fn body(reply: AppletReply) -> String {
    assert_eq!(reply.status, 200);
    match reply.body {
        AppletBody::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
        body => panic!("{body:?}"),
    }
}

fn header<'a>(reply: &'a AppletReply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

#[test]
fn the_target_chooses_form_and_lines() {
    let site = site();
    let page = site.text("/stats");
    assert!(
        page.contains("<h2 id=\"b1\">") && page.contains("127.0.0.1:2") && page.contains("name=\"action\"")
    );
    assert!(site.text("/stats;csv").starts_with("# pxname,"));
    assert!(site.text("/stats;json").starts_with("[["));
    assert!(site.text("/stats;typed").starts_with("F."));
    let one = site.text("/stats?;csv;scope=b1");
    assert!(one.contains("\nb1,BACKEND") && !one.contains("\nb2,BACKEND"));
    assert!(site.text("/stats?scope=<script>").contains("<h2 id=\"b2\">"));
    let reply = site.call("fe", "GET", "http://h/stats;csv", "", None);
    assert_eq!(header(&reply, "refresh"), Some("5"));
    assert_eq!(header(&reply, "content-type"), Some("text/plain"));
    assert_eq!(header(&site.call("fe", "GET", "/stats;norefresh", "", None), "refresh"), None);
}

#[test]
fn accounts_open_the_page_and_the_scope_bounds_it() {
    let site = site();
    let refused = site.call("closed", "GET", "/", "", None);
    assert_eq!(refused.status, 401);
    assert_eq!(header(&refused, "www-authenticate"), Some("Basic realm=\"A \\\"B\\\"\""));
    for wrong in ["Basic YWRtaW46cGFzcw==", "Basic !", "Bearer x", "Basic"] {
        assert_eq!(site.call("closed", "GET", "/", "", Some(wrong)).status, 401, "{wrong}");
    }
    let right = Some("basic YWRtaW46cGFzczp3b3Jk");
    let csv = body(site.call("closed", "GET", "/;csv", "", right));
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.contains("\nclosed,FRONTEND,"));
    let page = body(site.call("closed", "GET", "/", "", right));
    assert!(!page.contains("<select"));
}

#[test]
fn a_posted_form_changes_servers() {
    let site = site();
    let post = |target: &str, form: &str| {
        let reply = site.call("fe", "POST", target, form, None);
        assert_eq!(reply.status, 303);
        header(&reply, "location").expect("a location").to_owned()
    };
    assert_eq!(post("/stats?scope=b2", "s=srv1&s=srv3&action=maint&b=%233"), "/stats;st=DONE?scope=b2");
    assert_eq!(post("/stats", "s=srv2&action=drain&b=b1"), "/stats;st=DONE");
    let set = site.fake.config.proxies[2].back.as_ref().expect("b1").servers.load();
    assert!(set.list[0].live.admin().contains(AdminState::FORCED_MAINT));
    assert!(set.list[1].live.admin().contains(AdminState::FORCED_DRAIN));
    assert_eq!(post("/stats", "s=srv1&s=nope&action=enable&b=b1"), "/stats;st=PART");
    assert_eq!(post("/stats", "s=srv1&action=enable&b=b1"), "/stats;st=NONE");
    assert_eq!(post("/stats", "s=srv1&action=boom&b=b1"), "/stats;st=ERRP");
    assert_eq!(post("/stats", "s=srv1&action=ready&b=%239"), "/stats;st=ERRP");
    assert_eq!(post("/stats;up", "s=nope&action=ready&b=b1"), "/stats;st=ERRP;up");
    assert_eq!(post("/stats", "s=srv2&action=dhlth&b=b1"), "/stats;st=NONE");
    assert!(site.text("/stats;st=DONE").contains("role=\"status\""));
    // Without `stats admin` nothing happens.
    let denied =
        site.call("closed", "POST", "/", "s=srv1&action=maint&b=b2", Some("basic YWRtaW46cGFzczp3b3Jk"));
    assert_eq!(header(&denied, "location"), Some("/;st=DENY"));
    assert!(site.fake.config.proxies[3].back.as_ref().expect("b2").servers.load().list[0].live.is_usable());
}
