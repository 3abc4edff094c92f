//! The environment that a configuration sees: a private copy, so that `setenv` never touches the process's own.

/// Log formats visible as variables while a configuration is read (manual section 2.3 and 8.2).
///
/// The second member is the format itself; the `log` keywords use the same strings.
pub const LOG_FORMATS: [(&str, &str); 7] = [
    ("HAPROXY_HTTP_LOG_FMT", HTTP_LOG_FORMAT),
    ("HAPROXY_HTTP_CLF_LOG_FMT", HTTP_CLF_LOG_FORMAT),
    ("HAPROXY_HTTPS_LOG_FMT", HTTPS_LOG_FORMAT),
    ("HAPROXY_TCP_LOG_FMT", TCP_LOG_FORMAT),
    ("HAPROXY_TCP_CLF_LOG_FMT", TCP_CLF_LOG_FORMAT),
    ("HAPROXY_KEYLOG_FC_LOG_FMT", KEYLOG_FC_LOG_FORMAT),
    ("HAPROXY_KEYLOG_BC_LOG_FMT", KEYLOG_BC_LOG_FORMAT),
];

/// `option httplog`.
pub const HTTP_LOG_FORMAT: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
     %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option httpslog`.
pub const HTTPS_LOG_FORMAT: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
     %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r \
     %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
     %[ssl_fc_sni]/%sslv/%sslc";
/// `option httplog clf`.
pub const HTTP_CLF_LOG_FORMAT: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s \
     %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option tcplog`.
pub const TCP_LOG_FORMAT: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// `option tcplog clf`.
pub const TCP_CLF_LOG_FORMAT: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s \
     %Th %Tw %Tc %Tt %U %ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\" ";
/// TLS secrets of the client side, one key log entry a line.
pub const KEYLOG_FC_LOG_FORMAT: &str = "CLIENT_RANDOM %[ssl_fc_client_random,hex] %[ssl_fc_session_key,hex]\n\
     CLIENT_EARLY_TRAFFIC_SECRET %[ssl_fc_client_random,hex] %[ssl_fc_client_early_traffic_secret]\n\
     CLIENT_HANDSHAKE_TRAFFIC_SECRET %[ssl_fc_client_random,hex] %[ssl_fc_client_handshake_traffic_secret]\n\
     SERVER_HANDSHAKE_TRAFFIC_SECRET %[ssl_fc_client_random,hex] %[ssl_fc_server_handshake_traffic_secret]\n\
     CLIENT_TRAFFIC_SECRET_0 %[ssl_fc_client_random,hex] %[ssl_fc_client_traffic_secret_0]\n\
     SERVER_TRAFFIC_SECRET_0 %[ssl_fc_client_random,hex] %[ssl_fc_server_traffic_secret_0]\n\
     EXPORTER_SECRET %[ssl_fc_client_random,hex] %[ssl_fc_exporter_secret]\n\
     EARLY_EXPORTER_SECRET %[ssl_fc_client_random,hex] %[ssl_fc_early_exporter_secret]";
/// TLS secrets of the server side, one key log entry a line.
pub const KEYLOG_BC_LOG_FORMAT: &str = "CLIENT_RANDOM %[ssl_bc_client_random,hex]  %[ssl_bc_session_key,hex]\n\
     CLIENT_EARLY_TRAFFIC_SECRET %[ssl_bc_client_random,hex] %[ssl_bc_client_early_traffic_secret]\n\
     CLIENT_HANDSHAKE_TRAFFIC_SECRET %[ssl_bc_client_random,hex] %[ssl_bc_client_handshake_traffic_secret]\n\
     SERVER_HANDSHAKE_TRAFFIC_SECRET %[ssl_bc_client_random,hex] %[ssl_bc_server_handshake_traffic_secret]\n\
     CLIENT_TRAFFIC_SECRET_0 %[ssl_bc_client_random,hex] %[ssl_bc_client_traffic_secret_0]\n\
     SERVER_TRAFFIC_SECRET_0 %[ssl_bc_client_random,hex] %[ssl_bc_server_traffic_secret_0]\n\
     EXPORTER_SECRET %[ssl_bc_client_random,hex] %[ssl_bc_exporter_secret]\n\
     EARLY_EXPORTER_SECRET %[ssl_bc_client_random,hex] %[ssl_bc_early_exporter_secret]";

/// Variables in the order they were defined, as `show env` prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    list: Vec<(String, Vec<u8>)>,
}

impl Env {
    /// A copy of the process's environment. Names that are not UTF-8 cannot be written in a configuration
    /// and are left out.
    pub fn of_process() -> Self {
        use std::os::unix::ffi::OsStringExt;
        let list = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_vec())))
            .collect();
        Env { list }
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.list.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }

    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        match self.list.iter_mut().find(|(n, _)| n == name) {
            Some(slot) => slot.1 = value,
            None => self.list.push((name.to_owned(), value)),
        }
    }

    /// Defines `name` only when it has no value yet (`presetenv`).
    pub fn preset(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    pub fn unset(&mut self, name: &str) {
        self.list.retain(|(n, _)| n != name);
    }

    /// Drops every variable that `keep` does not name (`resetenv`).
    pub fn reset(&mut self, keep: &[&str]) {
        self.list.retain(|(n, _)| keep.contains(&n.as_str()));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(n, _)| n.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.list.iter().map(|(n, v)| (n.as_str(), v.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_preset_unset_reset() {
        let mut env = Env::default();
        env.set("A", "1");
        env.preset("A", "2");
        env.preset("B", "3");
        assert_eq!(env.get("A"), Some(&b"1"[..]));
        env.set("A", "4");
        assert_eq!(env.names().collect::<Vec<_>>(), ["A", "B"]);
        env.reset(&["B"]);
        assert_eq!(env.get("A"), None);
        env.unset("B");
        assert_eq!(env, Env::default());
    }
}
