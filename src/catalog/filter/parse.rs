//! From the words of a filter to its tree, checked against what can be selected.

use super::token::{Token, tokens};

/// What can be selected of an answer: groups of dotted names, each under a first name or `""`; `*` stands for any key of a
/// map.
pub type Schema = &'static [(&'static str, &'static [&'static str])];

/// A filter that parsed and selects what there is.
#[derive(Debug)]
pub struct Filter {
    pub(super) root: Tree,
}

#[derive(Debug)]
pub(super) enum Tree {
    Or(Vec<Tree>),
    And(Vec<Tree>),
    Not(Box<Tree>),
    Match { selector: Vec<String>, test: Test },
}

#[derive(Debug)]
pub(super) enum Test {
    Equal(String),
    /// A member of a list, a key of a map, a part of a string.
    Contains(String),
    Empty,
    Matches(Box<regex::Regex>),
}

/// An expression may nest this deep, and be this long in bytes.
const DEPTH: usize = 64;
const LENGTH: usize = 8192;
/// The compiled size of a pattern, in bytes.
const PATTERN: usize = 1 << 20;

impl Filter {
    pub fn parse(text: &str, schema: Schema) -> Result<Filter, String> {
        if text.len() > LENGTH {
            return Err(format!("an expression may have at most {LENGTH} bytes"));
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, schema };
        let root = parser.or(0)?;
        match parser.peek() {
            None => Ok(Filter { root }),
            Some(token) => Err(format!("unexpected {token:?} after the expression")),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    schema: Schema,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Takes a keyword if it stands here.
    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w)) if w == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: Token) -> Result<(), String> {
        match self.next() {
            Some(token) if token == wanted => Ok(()),
            other => Err(format!("expected {wanted:?}, found {other:?}")),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Tree, String> {
        let mut parts = vec![self.and(depth)?];
        while self.keyword("or") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Tree, String> {
        let mut parts = vec![self.not(depth)?];
        while self.keyword("and") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::And(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Tree, String> {
        if depth > DEPTH {
            return Err("the expression nests too deep".into());
        }
        if self.keyword("not") {
            return Ok(Tree::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or(depth + 1)?;
            self.expect(Token::Close)?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Tree, String> {
        let start = self.at;
        // `"value" in Selector` has its value first; a value may be a bare word, so that it is known by the operator.
        if let Some(Token::Word(_) | Token::Quoted(_)) = self.peek() {
            let value = self.value()?;
            let not = matches!(self.peek(), Some(Token::Word(w)) if w == "not");
            self.at += usize::from(not);
            if self.keyword("in") {
                let selector = self.selector()?;
                return Ok(negated(not, Tree::Match { selector, test: Test::Contains(value) }));
            }
        }
        self.at = start;
        let selector = self.selector()?;
        let (not, test) = self.test()?;
        Ok(negated(not, Tree::Match { selector, test }))
    }

    fn test(&mut self) -> Result<(bool, Test), String> {
        match self.next() {
            Some(Token::Equal) => Ok((false, Test::Equal(self.value()?))),
            Some(Token::NotEqual) => Ok((true, Test::Equal(self.value()?))),
            Some(Token::Word(word)) => match word.as_str() {
                "is" => {
                    let not = self.keyword("not");
                    let empty = self.keyword("empty");
                    if empty { Ok((not, Test::Empty)) } else { Err("expected `empty`".into()) }
                }
                "not" => match self.test()? {
                    (false, test @ (Test::Contains(_) | Test::Matches(_))) => Ok((true, test)),
                    _ => Err("`not` stands before `contains`, `matches` or `in`".into()),
                },
                "contains" => Ok((false, Test::Contains(self.value()?))),
                "matches" => Ok((false, self.pattern()?)),
                other => Err(format!("unknown operator {other:?}")),
            },
            other => Err(format!("expected an operator, found {other:?}")),
        }
    }

    fn pattern(&mut self) -> Result<Test, String> {
        let text = self.value()?;
        let pattern = regex::RegexBuilder::new(&text).size_limit(PATTERN).build();
        pattern.map(|p| Test::Matches(Box::new(p))).map_err(|e| format!("the pattern {text:?}: {e}"))
    }

    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(value) | Token::Quoted(value)) => Ok(value),
            other => Err(format!("expected a value, found {other:?}")),
        }
    }

    /// `Service.Meta.key`, `Meta["a key"]`, `"/Meta/key"`.
    fn selector(&mut self) -> Result<Vec<String>, String> {
        let mut path = match self.next() {
            Some(Token::Word(name)) => vec![name],
            Some(Token::Quoted(pointer)) if pointer.starts_with('/') => {
                pointer[1..].split('/').map(|p| p.replace("~1", "/").replace("~0", "~")).collect()
            }
            other => return Err(format!("expected a selector, found {other:?}")),
        };
        loop {
            match self.peek() {
                Some(Token::Dot) => {
                    self.at += 1;
                    path.push(self.value()?);
                }
                Some(Token::OpenBracket) => {
                    self.at += 1;
                    path.push(self.value()?);
                    self.expect(Token::CloseBracket)?;
                }
                _ => break,
            }
        }
        let known = |group: &str, pattern: &str| {
            let parts = Some(group).filter(|g| !g.is_empty()).into_iter().chain(pattern.split('.'));
            parts.clone().count() == path.len() && parts.zip(&path).all(|(p, given)| p == "*" || p == given)
        };
        if self.schema.iter().any(|(group, names)| names.iter().any(|name| known(group, name))) {
            Ok(path)
        } else {
            Err(format!("Selector {:?} is not valid", path.join(".")))
        }
    }
}

fn negated(not: bool, tree: Tree) -> Tree {
    if not { Tree::Not(Box::new(tree)) } else { tree }
}
