//! A browser that tests drive: headless Chromium behind its WebDriver, which speaks JSON over HTTP.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use super::api::Api;
use crate::support::place::wait_until;
use crate::support::program;

/// Keys that have no character, as WebDriver writes them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// One window; it is closed on drop.
pub struct Browser {
    driver: Child,
    api: Api,
    session: String,
}

impl Browser {
    /// None, loudly, where there is no Chromium.
    pub fn start(test: &str) -> Option<Browser> {
        if !program::installed("chromium") || !program::installed("chromedriver") {
            program::skipped(test, "chromium and chromium-driver are not installed");
            return None;
        }
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let said = BufReader::new(driver.stdout.take().expect("piped"));
        let mut lines = said.lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        let mut browser = Browser {
            driver,
            api: Api::new(address).patience(Duration::from_secs(60)),
            session: String::new(),
        };
        // No name resolves, so that nothing in the browser reaches out of this host.
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.*",
            "--window-size=1150,800",
        ];
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" } });
        let made = browser.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let reply = self.api.call(method, path, &body).unwrap_or_else(|e| panic!("{method} {path}: {e:?}"));
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        reply.json()["value"].take()
    }

    fn post(&mut self, what: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{what}", self.session), body)
    }

    fn get(&mut self, what: &str) -> Value {
        self.call("GET", &format!("/session/{}/{what}", self.session), &Value::Null)
    }

    pub fn open(&mut self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    pub fn url(&mut self) -> String {
        self.get("url").as_str().expect("a text").to_owned()
    }

    /// What a script returns.
    pub fn run(&mut self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The page as its reader sees it.
    pub fn text(&mut self) -> String {
        self.run("return document.body.innerText").as_str().expect("a text").to_owned()
    }

    /// The text of what has the focus.
    pub fn focus(&mut self) -> String {
        self.run("return document.activeElement.innerText || ''").as_str().expect("a text").to_owned()
    }

    /// Waits until the page says all this; its text when it does.
    pub fn reads(&mut self, words: &[&str], at_most: Duration) -> String {
        let mut text = String::new();
        let found = wait_until(at_most, || {
            text = self.text();
            words.iter().all(|word| text.contains(word))
        });
        assert!(found, "not all of {words:?} in {text:?}");
        text
    }

    pub fn press(&mut self, key: &str) {
        let strokes = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] }));
    }

    /// Goes from one thing to the next until the one with this text has the focus.
    pub fn tab_to(&mut self, text: &str) {
        let mut passed = Vec::new();
        for _ in 0..40 {
            self.press(TAB);
            let focus = self.focus();
            if focus == text {
                return;
            }
            passed.push(focus);
        }
        panic!("the Tab key does not lead to {text:?}, only to {passed:?}");
    }

    /// The same for a field.
    pub fn tab_to_label(&mut self, label: &str) {
        let script = "return document.activeElement.getAttribute('aria-label')";
        let found = (0..40).any(|_| {
            self.press(TAB);
            self.run(script) == label
        });
        assert!(found, "the Tab key does not lead to the field {label:?}");
    }

    /// Dark, or light.
    pub fn prefers(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let params = json!({ "features": features });
        self.post("goog/cdp/execute", &json!({ "cmd": "Emulation.setEmulatedMedia", "params": params }));
    }

    /// A picture of the window, in PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let text = self.get("screenshot");
        let text = text.as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    }

    /// What the console said since it was last asked.
    pub fn console(&mut self) -> Vec<String> {
        self.log("browser").iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// The addresses that were requested since they were last asked for.
    pub fn requested(&mut self) -> Vec<String> {
        let event = |entry: &Value| -> Option<String> {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let is_request = message["message"]["method"] == "Network.requestWillBeSent";
            let url = message["message"]["params"]["request"]["url"].as_str()?;
            is_request.then(|| url.to_owned())
        };
        self.log("performance").iter().filter_map(event).collect()
    }

    fn log(&mut self, kind: &str) -> Vec<Value> {
        self.post("se/log", &json!({ "type": kind })).as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes its browser with it when it is asked; when it is killed it does not.
        let session = format!("/session/{}", self.session);
        if !self.session.is_empty() {
            let _ = self.api.call("DELETE", &session, "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
