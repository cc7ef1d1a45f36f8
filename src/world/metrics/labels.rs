//! A series' identity: its labels, the metric's name among them.

use std::{fmt, sync::Arc};

use promql_parser::label::METRIC_NAME;

/// Labels sorted by name, without empty values: to Prometheus an empty label is an absent one. Texts are shared, since
/// evaluation makes new sets of the same labels all the time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Vec<(Arc<str>, Arc<str>)>);

/// A label of Kubernetes as service discovery copies it.
pub(super) fn from_kubernetes(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

impl Labels {
    /// Labels from pairs in any order; of two pairs with the same name the later one counts.
    pub fn new<N: AsRef<str>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.set(name.as_ref(), value);
        }
        labels
    }

    /// The value of `name`, empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        match self.position(name) {
            Ok(at) => &self.0[at].1,
            Err(_) => "",
        }
    }

    /// The metric's name, empty where an expression dropped it.
    #[must_use]
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Gives `name` a value; an empty one removes the label.
    pub fn set(&mut self, name: &str, value: impl Into<Arc<str>>) {
        let value = value.into();
        match self.position(name) {
            Ok(at) if value.is_empty() => drop(self.0.remove(at)),
            Ok(at) => self.0[at].1 = value,
            Err(_) if value.is_empty() => {}
            Err(at) => self.0.insert(at, (name.into(), value)),
        }
    }

    /// These labels without the metric's name, as most expressions leave them.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        self.without(&[])
    }

    /// Only the labels named; the metric's name too has to be named to stay.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(name, _)| contains(names, name)).cloned().collect())
    }

    /// All but the labels named and the metric's name.
    #[must_use]
    pub fn without(&self, names: &[String]) -> Self {
        let stays = |name: &str| name != METRIC_NAME && !contains(names, name);
        Self(self.0.iter().filter(|(name, _)| stays(name)).cloned().collect())
    }

    /// Pairs in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

impl fmt::Display for Labels {
    /// As PromQL and the text exposition write it: `up{job="backend"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        let mut separator = '{';
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            write!(f, "{separator}{name}=\"")?;
            write_escaped(f, value)?;
            f.write_str("\"")?;
            separator = ',';
        }
        match separator {
            ',' => f.write_str("}"),
            _ if self.metric().is_empty() => f.write_str("{}"),
            _ => Ok(()),
        }
    }
}

/// Escapes a label's value for the text exposition: backslash, quote and line feed.
pub(super) fn write_escaped(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    for c in value.chars() {
        match c {
            '\\' => out.write_str("\\\\")?,
            '"' => out.write_str("\\\"")?,
            '\n' => out.write_str("\\n")?,
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_empty_ones_are_absent() {
        let labels = Labels::new([("z", "1"), ("__name__", "up"), ("a", "x"), ("gone", "")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("a", "x"), ("z", "1")]);
        assert_eq!(labels.get("gone"), "");
        assert_eq!(labels, Labels::new([("a", "x"), ("z", "1"), ("__name__", "up")]));
    }

    #[test]
    fn grouping_keeps_or_drops_by_name() {
        let labels = Labels::new([("__name__", "up"), ("a", "x"), ("b", "y")]);
        assert_eq!(labels.only(&["b".into()]), Labels::new([("b", "y")]));
        assert_eq!(labels.without(&["b".into()]), Labels::new([("a", "x")]));
        assert_eq!(labels.unnamed().to_string(), r#"{a="x",b="y"}"#);
    }

    #[test]
    fn values_are_escaped_in_text() {
        let labels = Labels::new([("__name__", "up"), ("path", "a\\b\"c\nd")]);
        assert_eq!(labels.to_string(), r#"up{path="a\\b\"c\nd"}"#);
        assert_eq!(Labels::default().to_string(), "{}");
        assert_eq!(Labels::new([("__name__", "up")]).to_string(), "up");
    }
}
