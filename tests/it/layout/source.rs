//! Reads a source file as the compiler's lexer does: comments are gone, and texts are no paths.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

/// The paths and texts of a source file, without its comments.
#[derive(Default)]
pub(super) struct Source {
    /// Every path of two parts or more, and every import, with imported names spelled out.
    pub(super) paths: Vec<Vec<String>>,
    /// What the file's `use` declarations call by shorter names.
    imported: BTreeMap<String, Vec<String>>,
    /// The literals, from behind the opening quotation mark on.
    pub(super) strings: Vec<String>,
}

impl Source {
    /// Reads it. What the compiler takes is read; nothing is resolved but imported names.
    pub(super) fn read(text: &str) -> Self {
        let mut source = Self::default();
        source.visit(text.parse().expect("the source is Rust"));
        for path in &mut source.paths {
            if let Some(full) = source.imported.get(&path[0]) {
                path.splice(..1, full.iter().cloned());
            }
        }
        source
    }

    fn visit(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = &tokens[..];
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            match first {
                TokenTree::Group(group) => self.visit(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let inside = text.trim_start_matches(['b', 'c', 'r', '#']).strip_prefix('"');
                    self.strings.extend(inside.map(str::to_owned));
                }
                TokenTree::Ident(word) if word == "use" => self.visit_use(Vec::new(), &mut rest),
                TokenTree::Ident(word) => {
                    let mut path = vec![word.to_string()];
                    while let [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(next), ..] =
                        rest
                        && (one.as_char(), two.as_char()) == (':', ':')
                    {
                        path.push(next.to_string());
                        rest = &rest[3..];
                    }
                    if path.len() > 1 {
                        self.paths.push(path);
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }

    /// Reads one branch of a tree of imports, up to the comma or semicolon behind it.
    fn visit_use(&mut self, mut path: Vec<String>, rest: &mut &[TokenTree]) {
        while let Some((first, others)) = rest.split_first() {
            match first {
                // `impl Trait + use<>` imports nothing.
                TokenTree::Punct(punct) if punct.as_char() == '<' => return,
                TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => break,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                TokenTree::Ident(word) if word == "as" => {
                    let name = others.first().map(ToString::to_string).unwrap_or_default();
                    self.import(name, std::mem::take(&mut path));
                    *rest = &others[1..];
                    continue;
                }
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let branches: Vec<_> = group.stream().into_iter().collect();
                    let is_comma =
                        |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                    for branch in branches.split(is_comma) {
                        self.visit_use(path.clone(), &mut &*branch);
                    }
                    path.clear();
                }
            }
            *rest = others;
        }
        if let Some(name) = path.last().cloned() {
            self.import(name, path);
        }
    }

    fn import(&mut self, name: String, path: Vec<String>) {
        self.paths.push(path.clone());
        self.imported.insert(name, path);
    }

    /// The paths below `root`, without it.
    pub(super) fn uses_of(&self, root: &str) -> BTreeSet<String> {
        let inside = self.paths.iter().filter(|path| path[0] == root && path.len() > 1);
        inside.map(|path| path[1..].join("::")).collect()
    }
}
