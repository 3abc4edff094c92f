//! Variables: their names as numbers, and their values.
//!
//! The numbers of names are the process's, not the configuration's: `sess` and `proc` variables outlive a change of
//! configuration, so a name must keep its number. The list only grows, by names that configurations spell out.

use std::sync::{Mutex, PoisonError, RwLock};

use super::sample::Sample;

/// Variables by scope (`proc`, `sess`, `txn`, `req`, `res`, `check`); few, so a list. Bounded by `tune.vars.*`.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    pub list: Vec<(VarId, Sample<'static>)>,
}

/// Scope and name of a variable, interned when the configuration is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VarId {
    pub scope: VarScope,
    pub name: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VarScope {
    Proc,
    Sess,
    Txn,
    Req,
    Res,
    Check,
}

impl Vars {
    pub fn value(&self, id: VarId) -> Option<&Sample<'static>> {
        self.list.iter().find(|(i, _)| *i == id).map(|(_, v)| v)
    }

    pub fn set(&mut self, id: VarId, value: Sample<'static>) {
        match self.list.iter_mut().find(|(i, _)| *i == id) {
            Some((_, v)) => *v = value,
            None => self.list.push((id, value)),
        }
    }

    pub fn unset(&mut self, id: VarId) {
        self.list.retain(|(i, _)| *i != id);
    }

    /// Drops what does not outlive a phase (`req` when the request was sent, `res` and `txn` at the end).
    pub fn clear(&mut self, scope: VarScope) {
        self.list.retain(|(i, _)| i.scope != scope);
    }
}

static NAMES: Mutex<Vec<Box<str>>> = Mutex::new(Vec::new());

/// `proc.*` variables, by name number.
static PROCESS: RwLock<Vec<Option<Sample<'static>>>> = RwLock::new(Vec::new());

/// The names a configuration uses.
#[derive(Debug, Default)]
pub struct Names {
    used: Vec<VarId>,
}

impl Names {
    /// `scope.name` as a variable, or what is wrong with it.
    pub fn var(&mut self, text: &str) -> Result<VarId, String> {
        let id = intern(text)?;
        if !self.used.contains(&id) {
            self.used.push(id);
        }
        Ok(id)
    }

    /// Every variable this configuration mentions.
    pub fn used(&self) -> &[VarId] {
        &self.used
    }
}

/// Whether a text begins as names of variables do.
pub fn has_scope(text: &str) -> bool {
    scope_of(text).is_some()
}

fn scope_of(text: &str) -> Option<(VarScope, &str)> {
    let (scope, name) = text.split_once('.')?;
    let scope = match scope {
        "proc" => VarScope::Proc,
        "sess" => VarScope::Sess,
        "txn" => VarScope::Txn,
        "req" => VarScope::Req,
        "res" => VarScope::Res,
        "check" => VarScope::Check,
        _ => return None,
    };
    Some((scope, name))
}

fn intern(text: &str) -> Result<VarId, String> {
    let Some((scope, name)) = scope_of(text) else {
        return Err(format!(
            "invalid variable name '{text}'. A variable name must be start by its scope. The scope can be 'proc', \
             'sess', 'txn', 'req', 'res' or 'check'"
        ));
    };
    if name.is_empty() {
        return Err(format!("variable '{text}' has an empty name"));
    }
    if let Some(c) = name.bytes().find(|c| !c.is_ascii_alphanumeric() && *c != b'_' && *c != b'.') {
        return Err(format!("invalid character '{}' in variable name '{text}'", c as char));
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let number = names.iter().position(|n| **n == *name).unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    });
    Ok(VarId { scope, name: number as u32 })
}

/// The number of a name that some configuration used; `None` for one never seen. For the runtime API.
pub fn lookup(text: &str) -> Option<VarId> {
    let (scope, name) = scope_of(text)?;
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.iter().position(|n| **n == *name).map(|number| VarId { scope, name: number as u32 })
}

/// `scope.name` of a variable.
pub fn name(id: VarId) -> String {
    let scope = match id.scope {
        VarScope::Proc => "proc",
        VarScope::Sess => "sess",
        VarScope::Txn => "txn",
        VarScope::Req => "req",
        VarScope::Res => "res",
        VarScope::Check => "check",
    };
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    format!("{scope}.{}", names.get(id.name as usize).map_or("?", |n| n))
}

/// A `proc` variable's value.
pub fn process(id: VarId) -> Option<Sample<'static>> {
    let list = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    list.get(id.name as usize)?.clone()
}

/// Every `proc` variable that has a value.
pub fn all_of_process() -> Vec<(VarId, Sample<'static>)> {
    let list = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    let named = list.iter().enumerate().filter_map(|(name, value)| Some((name as u32, value.clone()?)));
    named.map(|(name, value)| (VarId { scope: VarScope::Proc, name }, value)).collect()
}

/// Gives the `proc` variables that a configuration's `set-var` lines name their values, if they have none yet: what was
/// set at run time outlives a reload.
pub fn introduce(values: &[(VarId, Sample<'static>)]) {
    for (id, value) in values {
        if process(*id).is_none() {
            set_process(*id, Some(value.clone()));
        }
    }
}

/// Sets (or with `None` removes) a `proc` variable.
pub fn set_process(id: VarId, value: Option<Sample<'static>>) {
    let mut list = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    let at = id.name as usize;
    if at >= list.len() {
        list.resize(at + 1, None);
    }
    list[at] = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_number_and_scopes_differ() {
        let mut names = Names::default();
        let a = names.var("txn.vars_test").unwrap();
        let b = names.var("sess.vars_test").unwrap();
        assert_eq!(a.name, b.name);
        assert_ne!(a, b);
        assert_eq!(lookup("txn.vars_test"), Some(a));
        assert_eq!(name(b), "sess.vars_test");
        assert_eq!(names.used(), [a, b]);
        assert!(names.var("foo.bar").is_err());
        assert!(names.var("txn.").is_err());
        assert!(names.var("txn.a-b").is_err());
    }

    #[test]
    fn process_variables_are_shared() {
        let id = Names::default().var("proc.vars_test_shared").unwrap();
        assert_eq!(process(id), None);
        set_process(id, Some(Sample::Int(3)));
        assert_eq!(process(id), Some(Sample::Int(3)));
        introduce(&[(id, Sample::Int(4))]);
        assert_eq!(process(id), Some(Sample::Int(3)));
        set_process(id, None);
        introduce(&[(id, Sample::Int(4))]);
        assert_eq!(process(id), Some(Sample::Int(4)));
    }
}
