//! What the sources import from each other: every path that leaves its room, in
//! `use` and in code, macros and attributes included. What is compiled for
//! tests alone may import what it likes.

use std::fmt;
use std::path::{Path, PathBuf};

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A path from one room to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) from: String,
    pub(super) to: String,
    /// Below `src`.
    file: String,
    line: usize,
    path: String,
}

impl fmt::Display for Import {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            file,
            line,
            path,
        } = self;
        write!(formatter, "src/{file}:{line}: {from} -> {to} ({path})")
    }
}

/// The imports of all that is compiled with this root file.
pub(super) fn of_crate(sources: &Path, root: &str) -> Vec<Import> {
    let mut reader = Reader {
        sources: Some(sources),
        file: root.into(),
        room: root.trim_end_matches(".rs").to_owned(),
        module: Vec::new(),
        found: Vec::new(),
    };
    reader.read();
    reader.found
}

/// The imports of this text, as if it stood in this file and module.
pub(super) fn of_text(file: &str, module: &[&str], text: &str) -> Vec<Import> {
    let mut reader = Reader {
        sources: None,
        file: file.into(),
        room: module[0].to_owned(),
        module: module.iter().map(|&name| name.to_owned()).collect(),
        found: Vec::new(),
    };
    reader.visit_file(&syn::parse_file(text).unwrap());
    reader.found
}

struct Reader<'a> {
    /// Where the files of modules are looked for, if they are.
    sources: Option<&'a Path>,
    /// Below it.
    file: PathBuf,
    room: String,
    /// The path of the module from the root of the crate.
    module: Vec<String>,
    found: Vec<Import>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let path = self.sources.unwrap().join(&self.file);
        let text = std::fs::read_to_string(&path).unwrap();
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.visit_file(&file);
    }

    /// Reads the module of this name from the file that holds it.
    fn read_module(&mut self, name: &str) {
        let Some(sources) = self.sources else { return };
        let mut module = self.module.clone();
        module.push(name.to_owned());
        let base: PathBuf = module.iter().collect();
        let files = [base.with_extension("rs"), base.join("mod.rs")];
        let file = files.into_iter().find(|file| sources.join(file).is_file());
        let mut reader = Reader {
            sources: Some(sources),
            file: file.unwrap_or_else(|| panic!("{} has no file", base.display())),
            room: module[0].clone(),
            module,
            found: Vec::new(),
        };
        reader.read();
        self.found.append(&mut reader.found);
    }

    /// Takes note of a path, if it leaves the room.
    fn add(&mut self, path: &[&Ident]) {
        let names: Vec<_> = path.iter().map(ToString::to_string).collect();
        let mut rest = names.iter().map(String::as_str).peekable();
        let mut module: Vec<&str> = self.module.iter().map(String::as_str).collect();
        match rest.peek() {
            Some(&"crate" | &"kootask") => {
                rest.next();
                module.clear();
            }
            Some(&"self") => {
                rest.next();
            }
            Some(&"super") => {
                while rest.next_if_eq(&"super").is_some() {
                    module.pop();
                }
            }
            // Of this module, of another crate, or imported: then that is seen.
            _ => return,
        }
        module.extend(rest);
        let Some(&to) = module.first() else { return };
        if to != self.room {
            self.found.push(Import {
                from: self.room.clone(),
                to: to.to_owned(),
                file: self.file.display().to_string(),
                line: path[0].span().start().line,
                path: names.join("::"),
            });
        }
    }

    fn add_tree<'t>(&mut self, before: &mut Vec<&'t Ident>, tree: &'t syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(&path.ident);
                self.add_tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
            // `a::{self}` is `a`.
            syn::UseTree::Name(name) if name.ident == "self" => self.add(before),
            syn::UseTree::Rename(name) if name.ident == "self" => self.add(before),
            syn::UseTree::Name(syn::UseName { ident, .. })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                before.push(ident);
                self.add(before);
                before.pop();
            }
            _ => self.add(before),
        }
    }

    /// The paths in what only a macro can read.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.add(&path.iter().collect::<Vec<_>>());
                        path.clear();
                    }
                    path.push(name);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.add(&path.iter().collect::<Vec<_>>());
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(&path.iter().collect::<Vec<_>>());
    }
}

/// Whether this is compiled for tests alone.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("cfg") && list.tokens.to_string().starts_with("test")
        }
        _ => false,
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) {
            return;
        }
        let name = item.ident.to_string();
        if item.content.is_none() {
            self.read_module(&name);
        } else {
            self.module.push(name);
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(
            &path
                .segments
                .iter()
                .map(|segment| &segment.ident)
                .collect::<Vec<_>>(),
        );
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.add_tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

/// The paths that leave the room `store`, in this text.
fn of(text: &str) -> Vec<String> {
    let found = of_text("store/sqlite/row.rs", &["store", "sqlite", "row"], text);
    found.into_iter().map(|import| import.path).collect()
}

#[test]
fn every_form_of_an_import_is_read() {
    for (text, paths) in [
        ("use crate::api;", &["crate::api"][..]),
        (
            "pub use crate::api::create as make;",
            &["crate::api::create"],
        ),
        ("use crate::api::*;", &["crate::api"]),
        (
            "use crate::{api::{self, a::{B, C as D}}, store::E, web};",
            &[
                "crate::api",
                "crate::api::a::B",
                "crate::api::a::C",
                "crate::web",
            ],
        ),
        (
            "use super::super::super::api::A;",
            &["super::super::super::api::A"],
        ),
        (
            "mod inner { use super::super::super::super::api::A; }",
            &["super::super::super::super::api::A"],
        ),
        (
            "fn f(a: crate::api::A) -> super::Own { crate::web::b() }",
            &["crate::api::A", "crate::web::b"],
        ),
        (
            "impl crate::api::A for Vec<crate::web::B> {}",
            &["crate::api::A", "crate::web::B"],
        ),
        (
            "fn f() { match x { crate::api::A => (), _ => () } }",
            &["crate::api::A"],
        ),
        (
            "fn f() { log!(a = crate::api::f(1), \"\", { crate::web::B }) }",
            &["crate::api::f", "crate::web::B"],
        ),
        (
            "#[path(body = crate::api::A)] struct A;",
            &["crate::api::A"],
        ),
        ("fn f() { use crate::api::A; }", &["crate::api::A"]),
        ("pub(crate) struct A;\npub(in super::super) struct B;", &[]),
        (
            "use crate::store::A; use super::B; use self::c::D; use std::fmt; use other::crate_::E;",
            &[],
        ),
        ("#[cfg(test)] mod tests { use crate::api::A; }", &[]),
        ("#[cfg(test)] use crate::api::A;", &[]),
        ("#[cfg(not(test))] use crate::api::A;", &["crate::api::A"]),
    ] {
        assert_eq!(of(text), paths, "{text}");
    }
}
