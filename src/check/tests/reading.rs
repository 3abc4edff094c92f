//! The lines of the configuration.

use super::farm::*;
use crate::check::phrase::Phrase;
use crate::check::*;
use crate::lang::Diagnostics;
use crate::rules::BuildCtx;

#[test]
fn lines_that_are_wrong_say_where() {
    let fault = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut rules = rules(&["option httpchk"]);
        let fault = read_line(&mut rules, &words).unwrap_err();
        (fault.word, fault.message)
    };
    assert_eq!(
        fault("http-check expect string a string b"),
        (3, "'http-check expect' : only one pattern expected.".to_owned())
    );
    assert_eq!(
        fault("http-check expect"),
        (0, "'http-check expect' : expects at least a matching pattern as arguments.".to_owned())
    );
    assert_eq!(
        fault("http-check expect status 300-200"),
        (2, "'http-check expect' : invalid range of status codes '300-200'.".to_owned())
    );
    assert_eq!(fault("http-check send hdr a").0, 1);
    assert!(fault("http-check send hdr a %[nope]").1.contains("unknown fetch method 'nope'"));
    assert!(fault("http-check set-var(x) int(1)").1.contains("must be start by its scope"));
    assert!(fault("tcp-check set-var(check.x) int(").1.contains("int"));
    assert!(fault("tcp-check set-var(check.x)").1.contains("expects an expression"));
    assert!(fault("http-check expect rstring (").1.contains("regex"));
    assert!(fault("http-check nope").1.contains("only supports 'disable-on-404'"));
    assert!(fault("tcp-check expect status 200").1.contains("but got 'status'"));
    assert!(fault("tcp-check send-binary 4").1.contains("even number"));
    let mut twice = rules(&["option httpchk", "http-check send uri /"]);
    let fault = read_line(&mut twice, &["http-check", "send", "uri", "/b"]).unwrap_err();
    assert!(fault.message.contains("missing connect rule"));
}

#[test]
fn packed_headers_of_old_files_are_split_out_with_a_warning() {
    let mut rules = Rules::default();
    let words = ["HEAD", "/", "HTTP/1.1\r\nHost:\u{20}localhost\r\nX-A: b"];
    let read = BuildCtx::with_nothing(&mut Diagnostics::default(), |ctx| rules.option_httpchk(&words, ctx));
    let warnings = read.unwrap();
    assert_eq!(warnings[0].word, 2);
    let mut spec = CheckSpec::default();
    rules.finish(&mut spec);
    let rule::Action::Send(rule::Send::Http(request)) = &spec.steps[1].action else { panic!() };
    assert_eq!(
        String::from_utf8(request::encode(&request::fill(request, None), None)).unwrap(),
        "HEAD / HTTP/1.1\r\nhost: localhost\r\nx-a: b\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn sections_inherit_until_they_say_their_own() {
    let defaults = rules(&["option httpchk GET /a", "http-check expect status 200"]);
    let steps = |rules: &Rules| {
        let mut spec = CheckSpec::default();
        rules.finish(&mut spec);
        spec.steps
    };
    let mut own = defaults.inherit();
    assert_eq!(steps(&own), steps(&defaults));
    read_line(&mut own, &["http-check", "expect", "string", "x"]).unwrap();
    let steps = steps(&own);
    assert_eq!(steps.len(), 2);
    let rule::Action::Expect(expect) = &steps[1].action else { panic!() };
    assert_eq!(expect.pattern, rule::Match::Body(Phrase::fixed("x")));
    own.option_tcp_check();
    let mut spec = CheckSpec::default();
    own.finish(&mut spec);
    assert_eq!((spec.protocol, spec.steps.len()), (Protocol::Tcp, 1));
}

/// What a section sends and expects, after these lines in its `defaults` and its own.
fn request_of(defaults: &[&str], own: &[&str]) -> (String, usize) {
    let mut rules = rules(defaults).inherit();
    read(&mut rules, own);
    let mut spec = CheckSpec::default();
    rules.finish(&mut spec);
    let sent = spec.steps.iter().find_map(|s| match &s.action {
        rule::Action::Send(rule::Send::Http(request)) => {
            Some(request::encode(&request::fill(request, None), None))
        }
        _ => None,
    });
    let line = String::from_utf8(sent.unwrap_or_default()).unwrap();
    (line.lines().next().unwrap_or_default().to_owned(), spec.steps.len())
}

/// Each as HAProxy 2.6 sent it.
#[test]
fn an_option_httpchk_of_a_section_starts_anew() {
    let defaults =
        ["option httpchk", "http-check send meth HEAD uri /h ver HTTP/1.1", "http-check expect status 404"];
    let sends = |own: &[&str]| request_of(&defaults, own);
    assert_eq!(sends(&[]), ("HEAD /h HTTP/1.1".to_owned(), 3));
    assert_eq!(sends(&["option httpchk"]), ("OPTIONS / HTTP/1.0".to_owned(), 3));
    assert_eq!(sends(&["option httpchk GET /b"]), ("GET /b HTTP/1.0".to_owned(), 3));
    assert_eq!(sends(&["option tcp-check", "option httpchk"]).0, "OPTIONS / HTTP/1.0");
    // Lines of its own without the option leave nothing of what was inherited.
    assert_eq!(sends(&["http-check expect status 404"]), (String::new(), 2));
    assert_eq!(sends(&["http-check send meth DELETE uri /bs"]).0, "DELETE /bs HTTP/1.0");
    assert_eq!(sends(&["http-check disable-on-404"]).0, "HEAD /h HTTP/1.1");
    assert_eq!(sends(&["tcp-check send PONG"]).0, "HEAD /h HTTP/1.1");
    // Own lines stay, on whichever side of the option they stand; of two requests the last one's word holds.
    for own in [
        ["http-check expect status 404", "option httpchk"],
        ["option httpchk", "http-check expect status 404"],
    ] {
        assert_eq!(sends(&own), ("OPTIONS / HTTP/1.0".to_owned(), 3));
    }
    assert_eq!(sends(&["http-check send uri /u", "option httpchk PUT /p"]).0, "PUT /p HTTP/1.0");
    assert_eq!(sends(&["option httpchk PUT /p", "http-check send uri /u"]).0, "PUT /u HTTP/1.0");
    assert_eq!(sends(&["http-check send meth HEAD uri /u", "option httpchk"]).0, "HEAD /u HTTP/1.0");
}

#[test]
fn settings_of_defaults_outlast_an_option_httpchk() {
    let mut rules =
        rules(&["option httpchk", "http-check disable-on-404", "http-check send-state"]).inherit();
    read(&mut rules, &["option httpchk GET /b"]);
    let mut spec = CheckSpec::default();
    rules.finish(&mut spec);
    assert!(spec.disable_on_404 && spec.send_state);
    assert_eq!(rules.http_settings().collect::<Vec<_>>(), ["disable-on-404", "send-state"]);
}

/// Names and values of check headers go out as they are, as from HAProxy.
#[test]
fn odd_headers_of_checks_are_sent() {
    let mut rules = Rules::default();
    read_line(&mut rules, &["option", "httpchk"]).unwrap();
    let line =
        ["http-check", "send", "hdr", "Authorization Basic", "x", "hdr", "A:b", "y", "hdr", "(A)", " z "];
    read_line(&mut rules, &line).unwrap();
    let mut spec = CheckSpec::default();
    rules.finish(&mut spec);
    let rule::Action::Send(rule::Send::Http(request)) = &spec.steps[1].action else { panic!() };
    assert_eq!(
        String::from_utf8(request::encode(&request::fill(request, None), None)).unwrap(),
        "OPTIONS / HTTP/1.0\r\nauthorization basic: x\r\na:b: y\r\n(a):  z \r\n\r\n"
    );
    for words in [["http-check", "send", "hdr", "A", ""], ["http-check", "send", "hdr", "", "x"]] {
        assert!(read_line(&mut Rules::default(), &words).is_err());
    }
}

#[test]
fn every_example_of_a_backend_keyword_parses() {
    for entry in BACKEND_KEYWORDS {
        let words: Vec<&str> = entry.example.split(' ').collect();
        let refused = matches!(entry.status, crate::lang::Status::Refused(_));
        if words[0] == "option" {
            continue;
        }
        let result = read_line(&mut Rules::default(), &words);
        assert_eq!(result.is_err(), refused, "{}: {result:?}", entry.example);
    }
}

/// As HAProxy sends them, by its own test of these checks.
#[test]
fn packets_of_mysql_checks_are_those_of_haproxy() {
    for (option, wanted) in [
        ("option mysql-check user user pre-41", "0b00000100800000017573657200000100000001".to_owned()),
        (
            "option mysql-check user user",
            format!("26000001008200000080000121{}7573657200000100000001", "00".repeat(23)),
        ),
    ] {
        let spec = check(&[option]);
        let rule::Action::Send(rule::Send::Bytes(sent)) = &spec.steps[1].action else { panic!("{option}") };
        let hex: String = sent.bytes(None).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, wanted, "{option}");
    }
}
