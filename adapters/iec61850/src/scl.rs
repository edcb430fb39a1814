//! What a description in SCL (IEC 61850-6: SCD, CID, ICD) says of its IEDs: [`Scl`].
//!
//! A description comes from elsewhere, so that its size, its depth and the number of its parts are limited; it has no
//! document type, and thus no entities. Of each logical device it gives the data objects with their common data classes
//! and control models, the data sets and the report control blocks, and by the same names as browsing a server would.

mod types;

use crate::data::Fc;
use crate::directory::Directory;
use crate::mapping::{Mapping, found};
use roxmltree::{Document, Node, ParsingOptions};
use serde::Serialize;
use std::collections::BTreeSet;
use types::Templates;

/// The namespace of SCL.
pub(crate) const NAMESPACE: &str = "http://www.iec.ch/61850/2003/SCL";

/// The largest description that is read.
const MOST_BYTES: usize = 64 << 20;
/// The most elements, attributes and texts.
const MOST_NODES: u32 = 4_000_000;
/// The deepest nesting of elements.
const DEEPEST: usize = 64;
/// The most names that all types together may make of one IED.
const MOST_NAMES: usize = 500_000;

/// A description.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scl {
    /// The IEDs, in the order of the file.
    pub ieds: Vec<SclIed>,
}

/// One IED.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SclIed {
    /// Its name.
    pub name: String,
    /// Its manufacturer and type, as far as they are told.
    pub identity: String,
    /// Its access points, with the IP address where the file has one.
    pub access_points: Vec<SclAccessPoint>,
    /// Its logical devices.
    pub logical_devices: Vec<SclLogicalDevice>,
}

/// Where an IED is reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SclAccessPoint {
    /// Its name.
    pub name: String,
    /// The IP address, from the communication section.
    pub address: Option<String>,
}

/// One logical device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SclLogicalDevice {
    /// Its instance name, such as `INV`.
    pub inst: String,
    /// Its name in MMS: `ldName`, or the name of the IED and the instance name.
    pub domain: String,
    /// Its logical nodes.
    pub nodes: Vec<SclNode>,
    #[serde(skip)]
    items: Vec<String>,
}

/// One logical node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SclNode {
    /// Its name, such as `MMXU1`.
    pub name: String,
    /// Its data objects.
    pub objects: Vec<SclObject>,
    /// Its data sets, with the number of their members.
    pub data_sets: Vec<(String, usize)>,
    /// Its report control blocks.
    pub reports: Vec<SclReport>,
}

/// One data object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SclObject {
    /// Its name, such as `TotW`.
    pub name: String,
    /// Its common data class, such as `MV`.
    pub cdc: String,
    /// Its control model by its name in SCL, where it is told.
    pub control_model: Option<String>,
}

/// One report control block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SclReport {
    /// Its name, without the number of an instance.
    pub name: String,
    /// Whether entries are buffered while nobody listens.
    pub buffered: bool,
    /// Its data set.
    pub data_set: Option<String>,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SclError {
    /// It is larger than any description is.
    #[error("the description has {0} bytes; at most {MOST_BYTES} are read")]
    TooLarge(usize),
    /// It is no XML, or has a document type.
    #[error("the description is no XML that can be read: {0}")]
    Xml(String),
    /// Its elements are nested deeper than any description's.
    #[error("the elements of the description are nested deeper than {DEEPEST}")]
    TooDeep,
    /// Its types make more names than any IED has.
    #[error("the types of {0} make more than {MOST_NAMES} names")]
    TooMany(String),
    /// It is some other XML.
    #[error("the description is no SCL: its root is `{0}`, expected `SCL` of {NAMESPACE}")]
    NoScl(String),
    /// Something is missing.
    #[error("line {line}: {what}")]
    Wrong {
        /// The line, counted from 1.
        line: u32,
        /// What is wrong.
        what: String,
    },
}

impl Scl {
    /// Reads a description.
    ///
    /// # Errors
    /// See [`SclError`].
    pub fn parse(text: &str) -> Result<Self, SclError> {
        if text.len() > MOST_BYTES {
            return Err(SclError::TooLarge(text.len()));
        }
        // Before it is parsed: how deep it is decides how much the parser needs.
        if deeper_than(text, DEEPEST) {
            return Err(SclError::TooDeep);
        }
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document =
            Document::parse_with_options(text, options).map_err(|error| SclError::Xml(error.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name((NAMESPACE, "SCL")) {
            return Err(SclError::NoScl(root.tag_name().name().to_owned()));
        }
        let templates = Templates::new(root);
        let ieds =
            children(root, "IED").map(|ied| read_ied(ied, root, &templates)).collect::<Result<_, _>>()?;
        Ok(Self { ieds })
    }

    /// The IED whose logical devices are most like these, or the only one.
    pub(crate) fn most_like(&self, domains: &BTreeSet<&str>) -> Option<&SclIed> {
        if let [only] = self.ieds.as_slice() {
            return Some(only);
        }
        let shared = |ied: &SclIed| {
            ied.logical_devices.iter().filter(|device| domains.contains(device.domain.as_str())).count()
        };
        self.ieds.iter().filter(|ied| shared(ied) > 0).max_by_key(|ied| shared(ied))
    }
}

impl SclIed {
    /// What browsing this IED would give, as far as the description tells.
    pub(crate) fn directory(&self) -> Directory {
        let devices = self.logical_devices.iter();
        Directory::new(devices.map(|device| (device.domain.clone(), device.items.clone())).collect())
    }

    /// The points and commands that are recognised by their names, in one logical device or in all.
    #[must_use]
    pub fn mapping(&self, logical_device: Option<&str>) -> Mapping {
        let mut mapping = found(&self.directory(), logical_device);
        mapping.name.clone_from(&self.name);
        mapping
    }
}

/// Whether start tags are nested deeper than this. It is generous: what it does not understand does not count.
fn deeper_than(text: &str, most: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let end = rest.find('>').unwrap_or(rest.len());
        let tag = &rest[..end];
        if tag.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if !tag.starts_with(['!', '?']) && !tag.ends_with('/') {
            depth += 1;
            if depth > most {
                return true;
            }
        }
    }
    false
}

fn read_ied(
    ied: Node<'_, '_>,
    root: Node<'_, '_>,
    templates: &Templates<'_, '_>,
) -> Result<SclIed, SclError> {
    let name = required(ied, "name")?;
    let told = ["manufacturer", "type"].map(|attribute| ied.attribute(attribute).unwrap_or_default());
    let access_points = children(ied, "AccessPoint");
    let mut logical_devices = Vec::new();
    let mut names = 0;
    for server in access_points.clone().flat_map(|point| children(point, "Server")) {
        for device in children(server, "LDevice") {
            let read = read_device(device, &name, templates)?;
            names += read.items.len();
            if names > MOST_NAMES {
                return Err(SclError::TooMany(name));
            }
            logical_devices.push(read);
        }
    }
    let access_points = access_points.map(|point| {
        let at = point.attribute("name").unwrap_or_default();
        SclAccessPoint { name: at.to_owned(), address: address(root, &name, at) }
    });
    Ok(SclIed {
        access_points: access_points.collect(),
        identity: told.join(" ").trim().to_owned(),
        logical_devices,
        name,
    })
}

/// The IP address of an access point.
fn address(root: Node<'_, '_>, ied: &str, point: &str) -> Option<String> {
    let networks = children(root, "Communication").flat_map(|part| children(part, "SubNetwork"));
    let mut connected = networks.flat_map(|network| children(network, "ConnectedAP"));
    let found =
        connected.find(|at| at.attribute("iedName") == Some(ied) && at.attribute("apName") == Some(point))?;
    let mut parts = children(found, "Address").flat_map(|address| children(address, "P"));
    let ip = parts.find(|part| part.attribute("type") == Some("IP"))?;
    ip.text().map(|text| text.trim().to_owned())
}

fn read_device(
    device: Node<'_, '_>,
    ied: &str,
    templates: &Templates<'_, '_>,
) -> Result<SclLogicalDevice, SclError> {
    let inst = required(device, "inst")?;
    let domain = device.attribute("ldName").map_or_else(|| format!("{ied}{inst}"), ToOwned::to_owned);
    check_name(device, "logical device", 64, &domain)?;
    let mut items = Vec::new();
    let mut nodes = Vec::new();
    for node in device.children().filter(|node| is(*node, "LN0") || is(*node, "LN")) {
        nodes.push(read_node(node, templates, &mut items)?);
        if items.len() > MOST_NAMES {
            return Err(SclError::TooMany(ied.to_owned()));
        }
    }
    Ok(SclLogicalDevice { inst, domain, nodes, items })
}

fn read_node(
    node: Node<'_, '_>,
    templates: &Templates<'_, '_>,
    items: &mut Vec<String>,
) -> Result<SclNode, SclError> {
    let part = |attribute: &str| node.attribute(attribute).unwrap_or_default();
    let name = format!("{}{}{}", part("prefix"), required(node, "lnClass")?, part("inst"));
    check_name(node, "logical node", 32, &name)?;
    let kind = required(node, "lnType")?;
    let objects =
        templates.objects(&kind).ok_or_else(|| wrong(node, format!("there is no LNodeType `{kind}`")))?;
    items.push(name.clone());
    let mut told = Vec::new();
    for (object, kind) in objects {
        check_name(node, "data object", 24, object)?;
        templates.items(&name, object, kind, items);
        let cdc = templates.cdc(kind).unwrap_or_default().to_owned();
        let control_model =
            instance_value(node, object, "ctlModel").or_else(|| templates.value(kind, "ctlModel"));
        told.push(SclObject { name: object.to_owned(), cdc, control_model });
    }
    let data_sets = children(node, "DataSet").map(|set| {
        let members = set.children().filter(|member| is(*member, "FCDA") || is(*member, "FCDB")).count();
        (set.attribute("name").unwrap_or_default().to_owned(), members)
    });
    let reports = children(node, "ReportControl").map(|report| SclReport {
        name: report.attribute("name").unwrap_or_default().to_owned(),
        buffered: matches!(report.attribute("buffered"), Some("true" | "1")),
        data_set: report.attribute("datSet").map(ToOwned::to_owned),
    });
    let (data_sets, reports): (Vec<_>, Vec<SclReport>) = (data_sets.collect(), reports.collect());
    for report in &reports {
        let fc = if report.buffered { Fc::Br } else { Fc::Rp };
        items.push(format!("{name}${}${}", fc.letters(), report.name));
    }
    Ok(SclNode { name, objects: told, data_sets, reports })
}

/// The value that an instance gives an attribute of an object.
fn instance_value(node: Node<'_, '_>, object: &str, attribute: &str) -> Option<String> {
    let doi = children(node, "DOI").find(|doi| doi.attribute("name") == Some(object))?;
    let dai = children(doi, "DAI").find(|dai| dai.attribute("name") == Some(attribute))?;
    children(dai, "Val").next()?.text().map(|text| text.trim().to_owned())
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((NAMESPACE, name))
}

fn children<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> + Clone + use<'a, 'input> {
    node.children().filter(move |child| is(*child, name))
}

fn required(node: Node<'_, '_>, attribute: &str) -> Result<String, SclError> {
    let value = node.attribute(attribute).filter(|value| !value.is_empty());
    value
        .map(ToOwned::to_owned)
        .ok_or_else(|| wrong(node, format!("<{}> has no `{attribute}`", node.tag_name().name())))
}

/// Names have letters, digits and `_` (IEC 61850-7-2, ObjectName). The lengths are generous: together they stay below the
/// 129 characters of a reference.
fn check_name(node: Node<'_, '_>, what: &str, longest: usize, name: &str) -> Result<(), SclError> {
    let sound = name.len() <= longest && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if sound && !name.is_empty() {
        return Ok(());
    }
    Err(wrong(node, format!("`{}` is no name of a {what}", name.escape_default())))
}

fn wrong(node: Node<'_, '_>, what: String) -> SclError {
    SclError::Wrong { line: node.document().text_pos_at(node.range().start).row, what }
}

#[cfg(test)]
mod tests;
