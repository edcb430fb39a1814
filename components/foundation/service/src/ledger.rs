//! What has been asked of a document so far, and what was wrong: the [`Ledger`] behind every section.
//!
//! A [`Scope`] is one table as the program sees it: the keys and tables asked for, in the order of asking. Scopes are
//! found again by their parent and key, so that two functions may read the same table.

use crate::declaration::Declaration;
use crate::diagnostics::Diagnostic;
use crate::source::Place;

/// Index of a scope in the ledger; the root is 0.
pub(crate) type ScopeId = usize;

/// What one key of a table was asked for as.
#[derive(Debug)]
pub(crate) enum Asked {
    Value(Declaration),
    Table {
        about: String,
        required: bool,
        scope: ScopeId,
    },
    /// A table whose keys are names chosen by the user, each a table of the same kind.
    Named {
        about: String,
        members: Vec<(String, ScopeId)>,
    },
    /// An array of tables of the same kind.
    Listed {
        about: String,
        members: Vec<ScopeId>,
    },
}

/// One table as the program sees it.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) asked: Vec<(String, Asked)>,
    /// The key that chooses between kinds of this table, and a scope per kind; filled when recording.
    pub(crate) variants: Option<Variants>,
    /// The kind of this table could not be read, so nobody can say which keys belong to it.
    pub(crate) undecided: bool,
}

/// The kinds a table can be of.
#[derive(Debug)]
pub(crate) struct Variants {
    pub(crate) key: String,
    pub(crate) about: String,
    pub(crate) kinds: Vec<(String, ScopeId)>,
}

/// An error with the order it is reported in.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) place: Option<Place>,
    pub(crate) diagnostic: Diagnostic,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) problems: Vec<Problem>,
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger { scopes: vec![Scope::default()], problems: Vec::new() }
    }

    pub(crate) fn new_scope(&mut self) -> ScopeId {
        self.scopes.push(Scope::default());
        self.scopes.len() - 1
    }

    /// The scope of a table of `parent`, made when it is asked for the first time.
    pub(crate) fn table(&mut self, parent: ScopeId, key: &str, about: &str, required: bool) -> ScopeId {
        for (asked_key, asked) in &mut self.scopes[parent].asked {
            if let Asked::Table { required: already, scope, .. } = asked
                && asked_key == key
            {
                *already |= required;
                return *scope;
            }
        }
        let scope = self.new_scope();
        let asked = Asked::Table { about: about.to_owned(), required, scope };
        self.scopes[parent].asked.push((key.to_owned(), asked));
        scope
    }

    /// The scope of the table `name` in the table of named tables `key` of `parent`.
    pub(crate) fn named(&mut self, parent: ScopeId, key: &str, name: &str) -> ScopeId {
        let fresh = self.scopes.len();
        for (asked_key, asked) in &mut self.scopes[parent].asked {
            if let Asked::Named { members, .. } = asked
                && asked_key == key
            {
                if let Some((_, scope)) = members.iter().find(|(member, _)| member == name) {
                    return *scope;
                }
                members.push((name.to_owned(), fresh));
            }
        }
        self.new_scope()
    }

    /// The scopes of the `count` tables in the array `key` of `parent`, made where they are asked for the first time.
    pub(crate) fn listed(&mut self, parent: ScopeId, key: &str, about: &str, count: usize) -> Vec<ScopeId> {
        let is_it =
            |(asked_key, asked): &(String, Asked)| asked_key == key && matches!(asked, Asked::Listed { .. });
        if !self.scopes[parent].asked.iter().any(is_it) {
            let members = (0..count).map(|_| self.new_scope()).collect();
            self.scopes[parent]
                .asked
                .push((key.to_owned(), Asked::Listed { about: about.to_owned(), members }));
        }
        let listed = self.scopes[parent].asked.iter().find_map(|(asked_key, asked)| match asked {
            Asked::Listed { members, .. } if asked_key == key => Some(members.clone()),
            _ => None,
        });
        listed.unwrap_or_default()
    }

    /// Notes that `key` of `parent` is a table of named tables.
    pub(crate) fn names(&mut self, parent: ScopeId, key: &str, about: &str) {
        let asked = &mut self.scopes[parent].asked;
        if !asked.iter().any(|(asked_key, asked)| asked_key == key && matches!(asked, Asked::Named { .. })) {
            asked.push((key.to_owned(), Asked::Named { about: about.to_owned(), members: Vec::new() }));
        }
    }

    /// Notes the declaration of a value; a key read twice keeps its first one.
    pub(crate) fn value(&mut self, scope: ScopeId, key: &str, declaration: Declaration) {
        let asked = &mut self.scopes[scope].asked;
        match asked.iter_mut().find(|(asked_key, _)| asked_key == key) {
            Some((_, Asked::Value(first))) => first.required |= declaration.required,
            _ => asked.push((key.to_owned(), Asked::Value(declaration))),
        }
    }
}
