//! A table that remembers where its keys stand, and the faults found in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::{Fault, Place, Secret, env::Variables, path, setting::Setting};

/// A value and the line it stands on.
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Tree,
}

/// A value whose tables still know their lines.
pub(super) enum Tree {
    Table(BTreeMap<String, Node>),
    /// `[[...]]`, or a list of nothing but tables.
    Tables(Vec<Node>),
    Leaf(Value),
}

/// The text of the file, and what is wrong with it.
pub(super) struct Source {
    pub(super) file: Option<PathBuf>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// Every key that was asked for, so that a test finds those that the shipped file does not show.
    #[cfg(test)]
    pub(super) asked: Vec<String>,
}

impl Source {
    pub(super) fn new(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
            faults: Vec::new(),
            warnings: Vec::new(),
            #[cfg(test)]
            asked: Vec::new(),
        }
    }

    /// Where `line` is.
    pub(super) fn place(&self, line: usize) -> Place {
        Place::Line(self.file.clone().unwrap_or_default(), line)
    }

    pub(super) fn fault(&mut self, line: usize, key: impl Into<String>, reason: impl Into<String>) {
        let place = self.place(line);
        self.faults.push(Fault { place, key: key.into(), reason: reason.into() });
    }

    pub(super) fn warn(&mut self, line: usize, key: impl Into<String>, reason: impl Into<String>) {
        let place = self.place(line);
        self.warnings.push(Fault { place, key: key.into(), reason: reason.into() });
    }

    /// Reads the whole file. What TOML itself refuses becomes faults; the rest is still read.
    pub(super) fn parse(&mut self, text: &str) -> BTreeMap<String, Node> {
        let line_starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line_of = |at: usize| line_starts.partition_point(|start| *start <= at);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(1, |span| line_of(span.start));
            self.fault(line, "", error.message());
        }
        nodes(table.get_ref(), &line_of)
    }
}

fn nodes(table: &DeTable<'_>, line_of: &dyn Fn(usize) -> usize) -> BTreeMap<String, Node> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (name.clone().into_owned(), node(line_of(key.span().start), value.get_ref(), line_of))
    };
    table.iter().map(entry).collect()
}

fn node(line: usize, value: &DeValue<'_>, line_of: &dyn Fn(usize) -> usize) -> Node {
    let value = match value {
        DeValue::Table(table) => Tree::Table(nodes(table, line_of)),
        DeValue::Array(list) if list.iter().all(|item| item.get_ref().is_table()) => Tree::Tables(
            list.iter().map(|item| node(line_of(item.span().start), item.get_ref(), line_of)).collect(),
        ),
        leaf => Tree::Leaf(plain(leaf)),
    };
    Node { line, value }
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::Integer),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(value) => Value::Datetime(*value),
        DeValue::Array(list) => Value::Array(list.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Table(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect(),
        ),
    }
}

impl Node {
    /// The value without its lines.
    pub(super) fn plain(&self) -> Value {
        match &self.value {
            Tree::Table(table) => {
                Value::Table(table.iter().map(|(key, node)| (key.clone(), node.plain())).collect())
            }
            Tree::Tables(list) => Value::Array(list.iter().map(Self::plain).collect()),
            Tree::Leaf(value) => value.clone(),
        }
    }
}

/// A table being read: what is not taken out of it when it is finished is unknown.
pub(super) struct Section<'a> {
    name: &'static str,
    line: usize,
    keys: BTreeMap<String, Node>,
    source: &'a mut Source,
    variables: Option<&'a mut Variables>,
}

/// A setting and where it was made, for checks that need more than its own value.
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<'a> Section<'a> {
    /// A section that `SEMS_<NAME>_<KEY>` overrides.
    pub(super) fn open(
        name: &'static str,
        root: &mut BTreeMap<String, Node>,
        source: &'a mut Source,
        variables: &'a mut Variables,
    ) -> Self {
        let (line, keys) = match root.remove(name) {
            None => (1, BTreeMap::new()),
            Some(Node { line, value: Tree::Table(keys) }) => (line, keys),
            Some(Node { line, .. }) => {
                source.fault(line, name, format!("must be a table: [{name}]"));
                (line, BTreeMap::new())
            }
        };
        Self { name, line, keys, source, variables: Some(variables) }
    }

    /// One table of a list such as `[[route]]`.
    pub(super) fn item(
        name: &'static str,
        line: usize,
        keys: BTreeMap<String, Node>,
        source: &'a mut Source,
    ) -> Self {
        Self { name, line, keys, source, variables: None }
    }

    /// The full name of a key.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    /// Notes a fault of a key read before.
    pub(super) fn fault_at(&mut self, place: Place, key: &str, reason: impl Into<String>) {
        let key = self.full(key);
        self.source.faults.push(Fault { place, key, reason: reason.into() });
    }

    /// Notes that something is missing from the table.
    pub(super) fn fault(&mut self, key: &str, reason: impl Into<String>) {
        let place = self.source.place(self.line);
        self.fault_at(place, key, reason);
    }

    #[cfg(test)]
    fn ask(&mut self, key: &str) {
        let key = self.full(key);
        self.source.asked.push(key);
    }

    #[cfg(not(test))]
    fn ask(&mut self, _key: &str) {}

    /// Takes a key; a bad value is a fault and counts as absent.
    pub(super) fn take<T: Setting>(&mut self, key: &str) -> Option<Given<T>> {
        self.ask(key);
        let node = self.keys.remove(key);
        let variable = self.variables.as_mut().and_then(|variables| variables.take(self.name, key));
        // The override is judged alone: a start must not fail on what it replaces.
        let (place, read) = match (variable, node) {
            (Some((name, text)), _) => (Place::Variable(name), T::from_text(&text)),
            (None, Some(node)) => (self.source.place(node.line), T::from_toml(&node.plain())),
            (None, None) => return None,
        };
        match read {
            Ok(value) => Some(Given { value, place }),
            Err(reason) => {
                self.fault_at(place, key, reason);
                None
            }
        }
    }

    /// Takes a key into `setting`, if it is there and `check` has nothing against it. Returns where it was made;
    /// for a default, where the section begins.
    pub(super) fn set<T: Setting>(
        &mut self,
        key: &str,
        setting: &mut T,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Place {
        let Some(Given { value, place }) = self.take::<T>(key) else {
            return self.source.place(self.line);
        };
        match check(&value) {
            Ok(()) => *setting = value,
            Err(reason) => self.fault_at(place.clone(), key, reason),
        }
        place
    }

    /// Takes a secret: text, or `{ file = "..." }` whose first line it is.
    pub(super) fn secret(&mut self, key: &str) -> Option<Given<Secret>> {
        self.ask(key);
        let node = self.keys.remove(key);
        if let Some((name, text)) = self.variables.as_mut().and_then(|v| v.take(self.name, key)) {
            return Some(Given { value: Secret::new(text), place: Place::Variable(name) });
        }
        let Node { line, value } = node?;
        let place = self.source.place(line);
        let read = match value {
            Tree::Leaf(Value::String(text)) => Ok(text),
            Tree::Table(table) => match table.get("file").map(Node::plain) {
                Some(Value::String(file)) if table.len() == 1 => {
                    read_secret(self.source.file.as_deref(), &file)
                }
                _ => Err("text or { file = \"...\" } is expected".to_owned()),
            },
            _ => Err("text or { file = \"...\" } is expected".to_owned()),
        };
        match read {
            Ok(text) if text.is_empty() => {
                self.fault_at(place, key, "is empty");
                None
            }
            Ok(text) => Some(Given { value: Secret::new(text), place }),
            Err(reason) => {
                self.fault_at(place, key, reason);
                None
            }
        }
    }

    /// Takes out all that is left, for an application to judge.
    pub(super) fn rest(&mut self) -> BTreeMap<String, Node> {
        std::mem::take(&mut self.keys)
    }

    /// What is left is unknown.
    pub(super) fn finish(mut self) {
        for (key, node) in self.rest() {
            let place = self.source.place(node.line);
            self.fault_at(place, &key, "unknown key");
        }
    }
}

fn read_secret(config: Option<&Path>, file: &str) -> Result<String, String> {
    let path = path::find(config, file).ok_or_else(|| format!("there is no file {file}"))?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
