//! Takes a state's bytes, gives its lineage, serial and instances by address. Everything else of it
//! is skipped while parsing, so that a big state costs little more than its own size.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::lens::Incomplete;

/// What a file holds.
pub(super) enum Read {
    State(State),
    /// No bytes, or only blanks: terraform takes it for no state.
    Empty,
    Other(Incomplete),
}

/// What is kept of a state.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) lineage: String,
    pub(super) serial: u64,
    /// True where OpenTofu encrypted it; then there are no instances to see.
    pub(super) sealed: bool,
    /// Managed objects by address (`module.a.aws_instance.b[0]`).
    pub(super) instances: BTreeMap<String, Instance>,
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// Its type, `aws_instance`.
    pub(super) kind: String,
    /// The provider's id, empty where there is none.
    pub(super) id: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    version: u64,
    #[serde(default)]
    serial: u64,
    #[serde(default)]
    lineage: String,
    encrypted_data: Option<IgnoredAny>,
    #[serde(default)]
    resources: Option<Vec<Resource>>,
    #[serde(default)]
    modules: Option<Vec<Module>>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    module: String,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    instances: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    index_key: Option<Value>,
    deposed: Option<String>,
    #[serde(default)]
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    id: Option<Value>,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    path: Vec<String>,
    #[serde(default)]
    resources: BTreeMap<String, OldResource>,
}

#[derive(Deserialize)]
struct OldResource {
    #[serde(rename = "type")]
    kind: String,
    primary: Option<OldObject>,
    #[serde(default)]
    deposed: Vec<OldObject>,
}

#[derive(Deserialize)]
struct OldObject {
    #[serde(default)]
    id: String,
}

/// Reads a state.
pub(super) fn read(bytes: &[u8]) -> Read {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Read::Empty;
    }
    let file: File = match serde_json::from_slice(text) {
        Ok(file) => file,
        Err(e) if e.is_data() => return Read::Other(Incomplete::new("it is JSON, but no Terraform state")),
        Err(_) => return Read::Other(Incomplete::new("it is no JSON")),
    };
    let mut state = State { lineage: file.lineage, serial: file.serial, ..State::default() };
    if file.encrypted_data.is_some() {
        state.sealed = true;
        return Read::State(state);
    }
    match file.version {
        4 => file.resources.unwrap_or_default().into_iter().for_each(|r| state.add(r)),
        3 => file.modules.unwrap_or_default().into_iter().for_each(|m| state.add_old(m)),
        0 => return Read::Other(Incomplete::new("it is JSON, but no Terraform state: it has no version")),
        n => return Read::Other(Incomplete::new(format!("its format is version {n}, which this lens doesn't know"))),
    }
    Read::State(state)
}

impl State {
    fn add(&mut self, resource: Resource) {
        // Data sources are read, not owned.
        if resource.mode == "data" {
            return;
        }
        let mut base = resource.module;
        if !base.is_empty() {
            base.push('.');
        }
        base.push_str(&resource.kind);
        base.push('.');
        base.push_str(&resource.name);
        for object in resource.instances {
            let mut address = base.clone();
            if let Some(key) = &object.index_key {
                address.push_str(&format!("[{key}]"));
            }
            if let Some(deposed) = &object.deposed {
                address.push_str(&format!(" (deposed {deposed})"));
            }
            let id = match object.attributes.and_then(|a| a.id) {
                Some(Value::String(id)) => id,
                Some(Value::Number(id)) => id.to_string(),
                _ => String::new(),
            };
            self.instances.insert(address, Instance { kind: resource.kind.clone(), id });
        }
    }

    fn add_old(&mut self, module: Module) {
        let prefix: String = module.path.iter().skip(1).map(|name| format!("module.{name}.")).collect();
        for (name, resource) in module.resources {
            if name.starts_with("data.") {
                continue;
            }
            let objects = resource.primary.into_iter().chain(resource.deposed);
            for (i, object) in objects.enumerate() {
                let address = if i == 0 { format!("{prefix}{name}") } else { format!("{prefix}{name} (deposed {i})") };
                self.instances.insert(address, Instance { kind: resource.kind.clone(), id: object.id });
            }
        }
    }
}
