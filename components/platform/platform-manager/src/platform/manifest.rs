//! Manifests: what a type of component is, how it is started and which parameters it has (wire contract 4.2).
//!
//! [`Manifests::load`] reads every manifest below some folders; [`Manifests::get`] finds one by its name. A file that
//! cannot be read matters only when a type is asked for that it might have described.

mod folder;

use super::yaml::{self, Node, Notes, Value};
use gridloop_service::{Diagnostic, Diagnostics, Text, nearest};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A type of component.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name: the type in run configurations.
    pub name: String,
    /// Whether its processes run already and are only told to join.
    pub external: bool,
    /// Its Docker image.
    pub image: Option<Image>,
    /// Program and arguments, for processes. A key that only gridloop knows.
    pub command: Option<Vec<String>>,
    /// Its parameters, in the order of the file.
    pub attributes: Vec<Attribute>,
    /// Where it was read.
    pub file: PathBuf,
}

/// A parameter of a type of component.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name in run configurations and in the Start message.
    pub name: String,
    /// Whether a run configuration may leave it out.
    pub optional: bool,
    /// What it is then; never null, and none for a required one.
    pub default: Option<Node>,
    /// The environment variable that it is passed in.
    pub environment: String,
    /// Whether the Start message tells it.
    pub include_in_start: bool,
}

/// `DockerImage` of a manifest, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Without the tag; may begin with a registry and its port.
    pub name: String,
    /// `latest` when the manifest names none.
    pub tag: String,
}

impl Image {
    /// Takes `registry:5000/name:tag` apart. The Python platform cannot read a registry with a port.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let last = text.rfind('/').map_or(0, |slash| slash + 1);
        match text[last..].rfind(':') {
            Some(colon) => {
                Self { name: text[..last + colon].to_owned(), tag: text[last + colon + 1..].to_owned() }
            }
            None => Self { name: text.to_owned(), tag: "latest".to_owned() },
        }
    }

    /// As Docker wants it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }
}

impl Manifest {
    /// The parameter of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// Everything that is wrong with it, and its name if that could be read.
    pub fn read(text: &Text) -> Result<Self, (Option<String>, Diagnostics)> {
        let root = yaml::read(text).map_err(|problems| (None, problems))?;
        let mut reader = Reader { notes: Notes::new(text) };
        let manifest = reader.manifest(&root, Path::new(text.name()));
        let name = Some(manifest.name.clone()).filter(|name| !name.is_empty());
        let problems: Diagnostics = reader.notes.finish().into_iter().collect();
        if problems.is_empty() { Ok(manifest) } else { Err((name, problems)) }
    }
}

struct Reader<'t> {
    notes: Notes<'t>,
}

impl Reader<'_> {
    fn manifest(&mut self, root: &Node, file: &Path) -> Manifest {
        if root.entries().is_none() {
            self.notes.wrong(
                &root.place,
                format!("a manifest cannot be {}", root.found()),
                "`Name`, `Type` and so on",
            );
        }
        Manifest {
            name: self.name(root),
            external: self.is_external(root),
            image: root.get("DockerImage").and_then(|node| self.image(node)),
            command: root.get("Command").and_then(|node| self.command(node)),
            attributes: root.get("Attributes").map(|node| self.attributes(node)).unwrap_or_default(),
            file: file.to_path_buf(),
        }
    }

    fn name(&mut self, root: &Node) -> String {
        match root.get("Name") {
            Some(node) => match node.text().filter(|name| !name.is_empty()) {
                Some(name) => name.to_owned(),
                None => {
                    self.notes.wrong(
                        &node.place,
                        format!("`Name` cannot be {}", node.found()),
                        "the name of the type",
                    );
                    String::new()
                }
            },
            None if root.entries().is_none() => String::new(),
            None => {
                self.notes.wrong(
                    &start(root),
                    "`Name` is missing",
                    "the name of the type, such as `Name: WindFarm`",
                );
                String::new()
            }
        }
    }

    fn is_external(&mut self, root: &Node) -> bool {
        let expected = "`platform` (gridloop starts it) or `external` (it runs already)";
        match root.get("Type") {
            Some(node) => match node.text() {
                Some("platform") => false,
                Some("external") => true,
                _ => {
                    self.notes.wrong(&node.place, format!("`Type` cannot be {}", node.found()), expected);
                    false
                }
            },
            None if root.entries().is_none() => false,
            None => {
                self.notes.wrong(&start(root), "`Type` is missing", expected);
                false
            }
        }
    }

    fn image(&mut self, node: &Node) -> Option<Image> {
        match &node.value {
            Value::Null => None,
            Value::Text(text) if sound_image(text) => Some(Image::parse(text)),
            _ => {
                let message = format!("`DockerImage` cannot be {}", node.found());
                self.notes.wrong(&node.place, message, "an image such as `registry.example/windfarm:1.2`");
                None
            }
        }
    }

    fn command(&mut self, node: &Node) -> Option<Vec<String>> {
        let words = match &node.value {
            Value::Null => return None,
            Value::List(items) if !items.is_empty() => {
                items.iter().map(|item| item.text().map(ToOwned::to_owned)).collect::<Option<Vec<String>>>()
            }
            _ => None,
        };
        let sound =
            |words: &Vec<String>| !words[0].is_empty() && !words.iter().any(|word| word.contains('\0'));
        let words = words.filter(sound);
        if words.is_none() {
            let expected = "a list of texts: the program, then its arguments, such as `[gridloop, component, --from-environment]`";
            self.notes.wrong(&node.place, format!("`Command` cannot be {}", node.found()), expected);
        }
        words
    }

    fn attributes(&mut self, node: &Node) -> Vec<Attribute> {
        let entries = match &node.value {
            Value::Null => return Vec::new(),
            Value::Map(entries) => entries,
            _ => {
                let message = format!("`Attributes` cannot be {}", node.found());
                self.notes.wrong(&node.place, message, "a mapping of names");
                return Vec::new();
            }
        };
        entries.iter().filter_map(|(key, body)| self.attribute(key, body)).collect()
    }

    fn attribute(&mut self, key: &Node, body: &Node) -> Option<Attribute> {
        let Some(name) = key.text().filter(|name| is_variable(name)) else {
            self.notes.wrong(
                &key.place,
                format!("{} cannot be the name of an attribute", key.found()),
                "a text without `=`",
            );
            return None;
        };
        match &body.value {
            // The Python platform passes over an attribute without a body; so a run configuration may still set it.
            Value::Null => return None,
            Value::Map(_) => {}
            _ => {
                let expected = "`{Environment: NAME, Optional: true, Default: 1}` or part of it";
                self.notes.wrong(
                    &body.place,
                    format!("the attribute `{name}` cannot be {}", body.found()),
                    expected,
                );
                return None;
            }
        }
        let known = ["Optional", "Default", "Environment", "IncludeInStart"];
        for (key, _) in body.entries().unwrap_or_default() {
            let written = key.text().unwrap_or_default();
            if let Some(near) = nearest(written, known).filter(|near| *near != written) {
                self.notes.wrong_try(
                    &key.place,
                    format!("`{written}` is not known"),
                    format!("did you mean `{near}`?"),
                );
            }
        }
        let optional = self.boolean(body, "Optional", false);
        let default = body.get("Default").filter(|node| optional && node.value != Value::Null);
        Some(Attribute {
            name: name.to_owned(),
            optional,
            default: default.and_then(|node| self.passable(node)),
            environment: self.environment(body).unwrap_or_else(|| name.to_owned()),
            include_in_start: self.boolean(body, "IncludeInStart", true),
        })
    }

    /// A default that both an environment variable and a JSON message can carry.
    fn passable(&mut self, node: &Node) -> Option<Node> {
        check_passable(node, &mut self.notes).then(|| node.clone())
    }

    fn environment(&mut self, body: &Node) -> Option<String> {
        let node = body.get("Environment").filter(|node| node.value != Value::Null)?;
        let name = node.text().filter(|name| is_variable(name));
        if name.is_none() {
            let message = format!("`Environment` cannot be {}", node.found());
            self.notes.wrong(&node.place, message, "the name of an environment variable");
        }
        name.map(ToOwned::to_owned)
    }

    fn boolean(&mut self, body: &Node, key: &str, default: bool) -> bool {
        match body.get(key).map(|node| (&node.value, node)) {
            None | Some((Value::Null, _)) => default,
            Some((Value::Boolean(value), _)) => *value,
            Some((_, node)) => {
                self.notes.wrong(
                    &node.place,
                    format!("`{key}` cannot be {}", node.found()),
                    "`true` or `false`",
                );
                default
            }
        }
    }
}

/// Whether a text can be the name of an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// Notes what a parameter cannot be: a date, which is no text to Python, and a text with a zero byte.
pub(crate) fn check_passable(node: &Node, notes: &mut Notes<'_>) -> bool {
    match &node.value {
        Value::Date(text) => {
            let help = format!("put quotes around it: \"{text}\"");
            notes.wrong_try(&node.place, "this is a date, which SimCES cannot pass on", help);
            false
        }
        Value::Text(text) if text.contains('\0') => {
            notes.wrong(&node.place, "this text has a zero byte in it", "a text that a variable can carry");
            false
        }
        // Not `all`, which would stop at the first: every flaw is told.
        Value::List(items) => items.iter().filter(|item| !check_passable(item, notes)).count() == 0,
        Value::Map(entries) => {
            let parts = entries.iter().flat_map(|(key, value)| [key, value]);
            parts.filter(|part| !check_passable(part, notes)).count() == 0
        }
        _ => true,
    }
}

fn sound_image(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && !text.ends_with([':', '/'])
}

/// Where something that is missing would be.
fn start(node: &Node) -> Range<usize> {
    node.place.start..node.place.start
}

/// Every manifest of some folders, in the order in which they are looked through.
#[derive(Debug)]
pub struct Manifests {
    found: Vec<Found>,
    /// The folders, for errors.
    folders: Vec<PathBuf>,
}

#[derive(Debug)]
enum Found {
    Sound(Manifest),
    Broken { name: Option<String>, problems: Diagnostics },
}

impl Manifests {
    /// Reads every `.yml` and `.yaml` file below the folders: folder by folder, in each the files before the folders,
    /// of these `local` first.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn load(folders: &[PathBuf]) -> Result<Self, Diagnostics> {
        let mut found = Vec::new();
        let mut unreadable = Vec::new();
        for path in folders {
            match folder::files(path) {
                Ok(files) => found.extend(files.iter().map(|file| load(file))),
                Err(error) => unreadable.push(
                    Diagnostic::about(
                        &path.display().to_string(),
                        format!("cannot look for manifests here: {error}"),
                    )
                    .helped("name the folder that holds the manifests with --manifests DIR"),
                ),
            }
        }
        if unreadable.is_empty() {
            Ok(Self { found, folders: folders.to_vec() })
        } else {
            Err(unreadable.into_iter().collect())
        }
    }

    /// Manifests that are there already, for tests of what is made of them.
    #[must_use]
    pub fn of(manifests: Vec<Manifest>) -> Self {
        Self { found: manifests.into_iter().map(Found::Sound).collect(), folders: Vec::new() }
    }

    /// The first manifest of this name.
    ///
    /// # Errors
    /// There is none (then the list is empty), or what is wrong with it.
    pub fn get(&self, name: &str) -> Result<&Manifest, Diagnostics> {
        let named = self.found.iter().find(|found| match found {
            Found::Sound(manifest) => manifest.name == name,
            Found::Broken { name: broken, .. } => broken.as_deref() == Some(name),
        });
        match named {
            Some(Found::Sound(manifest)) => Ok(manifest),
            Some(Found::Broken { problems, .. }) => Err(problems.clone()),
            None => Err(Diagnostics::default()),
        }
    }

    /// The names of all sound manifests.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.iter().filter_map(|found| match found {
            Found::Sound(manifest) => Some(manifest.name.as_str()),
            Found::Broken { .. } => None,
        })
    }

    /// Where was looked.
    #[must_use]
    pub fn folders(&self) -> String {
        self.folders.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// What is wrong with files that may or may not be manifests: of no readable name.
    pub fn nameless(&self) -> impl Iterator<Item = &Diagnostics> {
        self.found.iter().filter_map(|found| match found {
            Found::Broken { name: None, problems } => Some(problems),
            _ => None,
        })
    }
}

fn load(file: &Path) -> Found {
    let read = match Text::load(file, "YAML") {
        Ok(text) => Manifest::read(&text),
        Err(problems) => Err((None, problems)),
    };
    match read {
        Ok(manifest) => Found::Sound(manifest),
        Err((name, problems)) => Found::Broken { name, problems },
    }
}
