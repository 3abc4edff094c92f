//! One fault, one message; and none that is not true.

use super::super::testing::{build_text, messages};

const TIMES: &str = " mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\n";
const USERS: &str = "frontend a\n bind 127.0.0.1:18080\n default_backend c\nfrontend b\n bind 127.0.0.1:18081\n \
                     default_backend c\nbackend c\n server s 127.0.0.1:80\n";

#[test]
fn a_fault_of_defaults_is_told_once_whoever_starts_from_them() {
    for line in [
        "errorfile 503 /nowhere.http",
        "errorfile 503 /proc/self/mem",
        "errorfiles nosuch",
        "http-error status 500 errorfile /nowhere.http",
        "log-format %zz\n log 127.0.0.1 local0",
        "error-log-format %zz",
        "unique-id-format %zz",
        "balance hash nosuch",
        "option httpchk a b c d e",
        "log nonsense",
    ] {
        let (built, diags) = build_text(&format!("defaults\n{TIMES} {line}\n{USERS}"));
        let said = messages(&diags);
        assert!(built.is_none() && said.len() == 1, "{line}: {said:#?}");
    }
    for rule in [
        "http-request deny if { path -f /nowhere.lst }",
        "http-request set-header a %[path,map(/nowhere.map)]",
        "http-request return status 200 file /nowhere",
        "http-request set-header a %[nosuch]",
    ] {
        let frontends =
            USERS.split("\nbackend c\n").next().unwrap().replace("default_backend c", "maxconn 5");
        let (built, diags) = build_text(&format!("defaults x\n{TIMES} {rule}\n{frontends}\n"));
        let said = messages(&diags);
        assert!(built.is_none() && said.len() == 1, "{rule}: {said:#?}");
    }
}

/// The same line in two sections is two faults.
#[test]
fn faults_of_sections_are_told_apart() {
    let users = USERS.replace(" default_backend c\n", " default_backend c\n errorfile 503 /nowhere.http\n");
    let (_, diags) = build_text(&format!("defaults\n{TIMES}{users}"));
    assert_eq!(messages(&diags).len(), 2, "{diags:?}");
}

#[test]
fn a_name_that_is_taken_is_no_loop() {
    let (built, diags) = build_text(&format!(
        "defaults\n{TIMES}frontend a\n bind 127.0.0.1:18080\n default_backend a\nbackend a\n server s 127.0.0.1:80\n"
    ));
    let said = messages(&diags);
    assert!(built.is_none() && said.len() == 1 && said[0].contains("same name"), "{said:?}");
    let (_, diags) =
        build_text(&format!("defaults\n{TIMES}listen a\n bind 127.0.0.1:18080\n default_backend a\n"));
    assert!(messages(&diags).iter().any(|m| m.contains("loop detected")), "{diags:?}");
}

/// Settings of logs in `defaults` are judged where they are used, not in `defaults` itself.
#[test]
fn defaults_with_rules_draw_no_warning_of_their_own() {
    let text = "defaults x\n mode tcp\n timeout client 5s\n option httplog\n log 127.0.0.1 local0\n \
                tcp-request content accept if { src 10.0.0.1 }\nfrontend a from x\n mode http\n bind 127.0.0.1:18080\n";
    let (built, diags) = build_text(text);
    assert!(built.is_some() && messages(&diags).is_empty(), "{diags:?}");
}
