//! Who a mirror is to a registry: name and password, or what `docker login` left in `config.json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    pub user: String,
    pub password: String,
    /// An OAuth2 refresh token, instead of a password.
    pub identity: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.user)
    }
}

impl Credential {
    /// The value of `Authorization`.
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64.encode(format!("{}:{}", self.user, self.password)))
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

/// What a `config.json` says of a host (`host[:port]`). `Ok(None)`: nothing.
pub fn of_docker_config(text: &[u8], host: &str) -> Result<Option<Credential>, String> {
    let file: File = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    // Docker Hub has an old name in these files.
    let names: &[&str] = match host {
        "registry-1.docker.io" | "docker.io" | "index.docker.io" => {
            &["docker.io", "index.docker.io", "registry-1.docker.io"]
        }
        _ => &[],
    };
    let bare = |key: &str| {
        let key = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
        key.split('/').next().unwrap_or_default().to_owned()
    };
    let is = |key: &str| bare(key) == host || names.contains(&bare(key).as_str());
    let Some((_, found)) = file.auths.iter().find(|(key, _)| is(key)) else { return Ok(None) };
    let (mut user, mut password) = (found.username.clone(), found.password.clone());
    if !found.auth.is_empty() {
        let decoded = BASE64.decode(found.auth.trim()).map_err(|e| format!("'auth' of {host}: {e}"))?;
        let decoded = String::from_utf8(decoded).map_err(|e| format!("'auth' of {host}: {e}"))?;
        let (a, b) = decoded.split_once(':').ok_or_else(|| format!("'auth' of {host} has no colon"))?;
        (user, password) = (a.to_owned(), b.trim_end_matches('\0').to_owned());
    }
    Ok(Some(Credential { user, password, identity: found.identitytoken.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_login_is_understood() {
        let text = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnE="},"eu:5000":{"username":"a","password":"b"},
                        "x.io":{"identitytoken":"t"}},"credsStore":"desktop"}"#;
        let of = |host: &str| of_docker_config(text, host).expect("a file");
        let hub = of("registry-1.docker.io").expect("hub");
        assert_eq!((hub.user.as_str(), hub.password.as_str()), ("u", "p:q"));
        assert_eq!(hub.basic(), "Basic dTpwOnE=");
        assert_eq!(of("eu:5000").map(|c| c.user), Some("a".into()));
        assert_eq!(of("x.io").map(|c| c.identity), Some("t".into()));
        assert_eq!(of("eu:5001"), None);
        assert!(of_docker_config(br#"{"auths":{"a":{"auth":"!"}}}"#, "a").is_err());
        assert!(of_docker_config(b"[", "a").is_err());
        assert!(!format!("{hub:?}").contains("p:q"));
    }
}
