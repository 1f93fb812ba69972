//! One entry of a log stream.

use std::collections::BTreeMap;

use fred::{bytes_utils::Str, types::Value};
use serde::{Serialize, Serializer};

/// One entry of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// Its id, `ms-seq`.
    pub id: String,
    /// Its fields; what is no text has U+FFFD in it.
    pub fields: LogFields,
    /// Whether all of it was text.
    pub is_text: bool,
}

/// The fields of an entry, as slices of the answer that they came with. Of two of the same name the later one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFields(Vec<(Str, Str)>);

impl LogFields {
    /// The field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// How many bytes names and values have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

#[cfg(test)]
impl Extend<(String, String)> for LogFields {
    fn extend<T: IntoIterator<Item = (String, String)>>(&mut self, fields: T) {
        self.0.extend(fields.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

#[cfg(test)]
impl FromIterator<(String, String)> for LogFields {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(fields: T) -> Self {
        let mut all = Self::default();
        all.extend(fields);
        all
    }
}

impl Serialize for LogFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, &**value)).collect::<BTreeMap<_, _>>())
    }
}

impl LogEntry {
    /// Reads `[id, [name, value, …]]`.
    pub(super) fn of(raw: Value) -> Option<Self> {
        let [id, fields] = <[Value; 2]>::try_from(raw.into_array()).ok()?;
        let mut is_text = true;
        let mut text = |value: Value| match value {
            Value::Bytes(bytes) => {
                is_text &= str::from_utf8(&bytes).is_ok();
                Str::from(String::from_utf8_lossy(&bytes).into_owned())
            }
            value => value.into_bytes_str().unwrap_or_default(),
        };
        let mut flat = fields.into_array().into_iter();
        let mut all = Vec::with_capacity(flat.len() / 2);
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            all.push((text(name), text(value)));
        }
        Some(Self { id: id.into_string()?, fields: LogFields(all), is_text })
    }
}
