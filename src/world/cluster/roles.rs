//! Who may do what: Roles and `ClusterRole`s as RBAC reads them, for tests of what a client really needs.
//!
//! Without any role everything is allowed. With some, nothing else is: a request needs a rule that names its verb, its group,
//! its resource (`pods/log` for a subresource) and, where the rule has names, its object. A Role counts in its namespace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Cluster,
    object::{list, text},
};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) verb: String,
    pub(super) group: String,
    /// With its subresource: `deployments/scale`.
    pub(super) resource: String,
    /// Empty for the whole cluster.
    pub(super) namespace: String,
    /// Empty where no object is named.
    pub(super) name: String,
}

/// One rule of a role.
#[derive(Debug)]
struct Rule {
    /// Nothing in a `ClusterRole`: it counts everywhere.
    namespace: Option<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    verbs: Vec<String>,
}

impl Rule {
    fn allows(&self, asked: &Asked) -> bool {
        let has = |words: &[String], word: &str| words.iter().any(|known| known == word || known == "*");
        self.namespace.as_ref().is_none_or(|namespace| *namespace == asked.namespace)
            && has(&self.groups, &asked.group)
            && has(&self.resources, &asked.resource)
            && has(&self.verbs, &asked.verb)
            && (self.names.is_empty() || self.names.contains(&asked.name))
    }
}

/// The roles there are, and what was asked of them.
#[derive(Debug, Default)]
pub(super) struct Roles {
    rules: Option<Vec<Rule>>,
    used: BTreeSet<(usize, String)>,
    refused: BTreeSet<String>,
}

impl Roles {
    pub(super) fn allow(&self, asked: &Asked) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.iter().any(|rule| rule.allows(asked)))
    }

    pub(super) fn note_use(&mut self, asked: &Asked) {
        let rules = self.rules.iter().flatten().enumerate();
        let used: Vec<_> = rules.filter(|(_, rule)| rule.allows(asked)).map(|(index, _)| index).collect();
        self.used.extend(used.into_iter().map(|rule| (rule, asked.verb.clone())));
    }

    pub(super) fn note_refusal(&mut self, asked: &Asked) {
        let Asked { verb, resource, namespace, name, .. } = asked;
        self.refused.insert(format!("{verb} {resource} {name} in {namespace}"));
    }
}

/// A resource with its subresource, as rules name it.
pub(super) fn qualified(plural: &str, subresource: &str) -> String {
    if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") }
}

impl Cluster {
    /// From now on nothing is allowed but what these Roles and `ClusterRole`s say; other manifests among them count for
    /// nothing. Reviews and discovery stay open to everybody, as on a real server.
    pub fn allow_only(&self, manifests: &[Value]) {
        let words = |rule: &Value, field: &str| -> Vec<String> {
            list(rule, field).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let rules =
            manifests.iter().filter(|manifest| manifest.get("rules").is_some()).flat_map(|manifest| {
                let wide = text(manifest, "/kind") == "ClusterRole";
                let namespace = (!wide).then(|| text(manifest, "/metadata/namespace").to_owned());
                list(manifest, "/rules").iter().map(move |rule| Rule {
                    namespace: namespace.clone(),
                    groups: words(rule, "/apiGroups"),
                    resources: words(rule, "/resources"),
                    names: words(rule, "/resourceNames"),
                    verbs: words(rule, "/verbs"),
                })
            });
        let rules = rules.collect();
        self.shared.change(|state| state.roles = Roles { rules: Some(rules), ..Roles::default() });
    }

    /// The rules that have allowed a request since [`Cluster::allow_only`]: each rule's place among all, and the verb.
    #[must_use]
    pub fn used_rules(&self) -> BTreeSet<(usize, String)> {
        self.shared.state().roles.used.clone()
    }

    /// What was refused since [`Cluster::allow_only`]: `list nodes  in `.
    #[must_use]
    pub fn refusals(&self) -> BTreeSet<String> {
        self.shared.state().roles.refused.clone()
    }
}
