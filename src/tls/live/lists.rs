//! `add`, `del` and `show ssl crt-list`, and `show ssl sni`.

use std::sync::Arc;

use super::show;
use super::state::Live;
use crate::tls::crt_list::{Line, List, parse_line};
use crate::tls::endpoint::Served;
use crate::tls::material::Told;

impl Live {
    /// `text`: a certificate's name, or the line of a payload.
    pub fn add_crt_list(&mut self, list: &str, text: &str) -> String {
        match self.add_line(list, text) {
            Ok(text) => text,
            Err(why) => format!("Can't edit the crt-list: {why}\n"),
        }
    }

    fn add_line(&mut self, name: &str, text: &str) -> Result<String, String> {
        let name = name.trim_end_matches('/');
        let text = text.trim();
        if text.is_empty() || text.contains('\n') {
            return Err("one line is expected".into());
        }
        let mut line = parse_line(text).map_err(|why| format!("parsing [CLI:1]: {why}"))?;
        line.crt = self.library.globals().crt(&line.crt).display().to_string();
        let Some(list) = self.lists.get(name) else {
            return Err(format!("crt-list '{name}' does not exist!"));
        };
        let material = match self.certificates.get(&line.crt) {
            None => return Err(format!("certificate '{}' does not exist!", line.crt)),
            Some(None) => return Err(format!("certificate '{}' is empty!", line.crt)),
            Some(Some(material)) => material.clone(),
        };
        let number = list.last + 1;
        let line = Line { number, ..line };
        let of: Arc<str> = name.into();
        let mut told = Told::default();
        let users: Vec<_> =
            self.endpoints.iter().filter(|endpoint| endpoint.has_list(name)).cloned().collect();
        for endpoint in &users {
            if endpoint.insert(&of, &line, &material, &mut self.library, &mut told).is_none() {
                users.iter().for_each(|endpoint| endpoint.remove(name, number));
                return Err(told.errors.join("\n"));
            }
        }
        let crt = line.crt.clone();
        self.change_list(name, |list| {
            list.last = number;
            list.lines.push(line);
        });
        Ok(format!(
            "Inserting certificate '{crt}' in crt-list '{name}'{}\nSuccess!\n",
            ".".repeat(users.len())
        ))
    }

    fn change_list(&mut self, name: &str, change: impl FnOnce(&mut List)) {
        if let Some(list) = self.lists.get_mut(name) {
            self.before.lists.entry(name.to_owned()).or_insert_with(|| Some(list.clone()));
            change(Arc::make_mut(list));
        }
    }

    /// `entry`: a certificate's name, with `:N` where a list has it more than once.
    pub fn del_crt_list(&mut self, list: &str, entry: &str) -> String {
        match self.del_line(list, entry) {
            Ok(text) => text,
            Err(why) => format!("Can't delete the entry: {why}\n"),
        }
    }

    fn del_line(&mut self, name: &str, entry: &str) -> Result<String, String> {
        let name = name.trim_end_matches('/');
        let numbered =
            entry.rsplit_once(':').and_then(|(crt, number)| Some((crt, number.parse::<usize>().ok()?)));
        let (crt, number) = match numbered {
            Some((crt, number)) if !self.certificates.contains_key(entry) => (crt, Some(number)),
            _ => (entry, None),
        };
        let list = self.lists.get(name).ok_or_else(|| format!("crt-list '{name}' does not exist!"))?;
        if !self.certificates.contains_key(crt) {
            return Err(format!("certificate '{crt}' does not exist!"));
        }
        let found: Vec<usize> =
            list.lines.iter().filter(|line| line.crt == crt).map(|line| line.number).collect();
        let all = || found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let number = match (found.as_slice(), number) {
            ([], _) => return Err(format!("certificate '{crt}' is not in the crt-list '{name}'!")),
            (found, Some(number)) if found.contains(&number) => number,
            (_, Some(_)) => {
                return Err(format!(
                    "found a certificate '{crt}' but the line number is incorrect, please specify a correct line number preceded by colons ({})!",
                    all()
                ));
            }
            ([only], None) => *only,
            (_, None) => {
                return Err(format!(
                    "found the certificate '{crt}' in several entries, please specify a line number preceded by colons ({})!",
                    all()
                ));
            }
        };
        let users: Vec<_> = self.endpoints.iter().filter(|of| of.defaults_to(name, number)).collect();
        if !users.is_empty() {
            let users: Vec<String> = users.iter().map(|of| format!("\n\t- {}", of.place())).collect();
            return Err(format!(
                "certificate '{crt}' cannot be deleted, it is used as default certificate by the following frontends:{}",
                users.concat()
            ));
        }
        self.endpoints.iter().for_each(|endpoint| endpoint.remove(name, number));
        self.change_list(name, |list| list.lines.retain(|line| line.number != number));
        Ok(format!("Entry '{crt}' deleted in crtlist '{name}'!\n"))
    }

    pub fn show_crt_lists(&self) -> String {
        self.lists.keys().fold(String::new(), |text, name| text + name + "\n")
    }

    pub fn show_crt_list(&self, name: &str, is_numbered: bool) -> String {
        let Some(list) = self.lists.get(name.trim_end_matches('/')) else {
            return "didn't find the specified filename\n".into();
        };
        let head = format!("# {}\n", list.name);
        list.lines.iter().fold(head, |text, line| text + &show::line(line, is_numbered))
    }

    /// Every name that is served, and by which certificate.
    pub fn show_sni(&self) -> String {
        let mut text =
            "# Frontend/Bind\tSNI\tNegative Filter\tType\tFilename\tNotAfter\tNotBefore\n".to_owned();
        for endpoint in &self.endpoints {
            for Served { name, except, material } in endpoint.served() {
                let except: Vec<String> = except.iter().map(|name| format!("!{name}")).collect();
                let except = if except.is_empty() { "-".to_owned() } else { except.join(" ") };
                let own = material.certified.key.cert.first();
                let (from, until) = own.and_then(|der| show::dates(der)).unwrap_or_default();
                let (section, place) = (endpoint.section(), endpoint.place());
                let (kind, file) = (material.kind(), &material.name);
                text += &format!("{section}/{place}\t{name}\t{except}\t{kind}\t{file}\t{until}\t{from}\n");
            }
        }
        text
    }
}
