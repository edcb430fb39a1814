//! Enough of XML to judge a picture by: [`parse`] takes what the pictures are made of and nothing else.

/// An element with its attributes, the elements in it, and its text.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

/// The root of a document. Panics at whatever is not well-formed.
pub(crate) fn parse(text: &str) -> Element {
    let forbidden = |c: char| c < ' ' && !"\n\r\t".contains(c);
    assert!(!text.contains(forbidden), "a character that XML does not have");
    let mut open: Vec<Element> = vec![Element::default()];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        open.last_mut().unwrap().text += &unescaped(before);
        let end = tag_end(tag);
        let (tag, behind) = (&tag[1..end], &tag[end + 1..]);
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().unwrap();
            assert_eq!(element.name, name, "closed in another order than opened");
            open.last_mut().expect("more is closed than opened").children.push(element);
        } else {
            let element = element(tag.strip_suffix('/').unwrap_or(tag));
            if tag.ends_with('/') {
                open.last_mut().unwrap().children.push(element);
            } else {
                open.push(element);
            }
        }
        rest = behind;
    }
    assert_eq!(rest.trim(), "");
    let mut document = open.pop().unwrap();
    assert!(open.is_empty() && document.name.is_empty(), "not everything is closed");
    assert_eq!(document.children.len(), 1, "one root");
    document.children.pop().unwrap()
}

/// Where the tag at the beginning ends: `>` outside quotes.
fn tag_end(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if byte == open => quote = None,
            (_, b'<') => assert_eq!(at, 0, "`<` within a tag"),
            _ => {}
        }
    }
    panic!("a tag without an end: {tag}")
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(name.chars().all(char::is_alphabetic), "{name} is no name");
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.trim().is_empty() {
        let (key, value) = rest.trim_start().split_once("=\"").expect("an attribute");
        let (value, behind) = value.split_once('"').expect("the end of an attribute");
        assert!(attributes.iter().all(|(other, _)| other != key), "{key} twice in <{tag}>");
        attributes.push((key.to_owned(), unescaped(value)));
        rest = behind;
    }
    Element { name: name.to_owned(), attributes, ..Element::default() }
}

fn unescaped(text: &str) -> String {
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;"];
        assert!(known.iter().any(|entity| text[at..].starts_with(entity)), "{text}");
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

impl Element {
    fn all(&self) -> Vec<&Element> {
        let mut found = vec![self];
        for child in &self.children {
            found.extend(child.all());
        }
        found
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// What is written on it, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.all().into_iter().filter(|it| it.name == "text").map(|it| it.text.clone()).collect()
    }

    /// What viewers show of its parts.
    pub(crate) fn titles(&self) -> Vec<String> {
        self.all().into_iter().filter(|it| it.name == "title").map(|it| it.text.clone()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.all().into_iter().filter(|it| it.name == name).count()
    }

    pub(crate) fn count_class(&self, class: &str) -> usize {
        self.all().into_iter().filter(|it| it.attribute("class") == Some(class)).count()
    }

    /// Paths that are dotted.
    pub(crate) fn dotted(&self) -> usize {
        let dotted =
            |it: &&Element| it.attribute("stroke-dasharray").is_some_and(|dashes| dashes.starts_with("0 "));
        self.all().into_iter().filter(|it| it.name == "path").filter(dotted).count()
    }
}
