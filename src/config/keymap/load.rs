//! Loads a keymap file over the defaults, and rejects bindings that would make the screen unsafe.

use std::ops::Range;

use super::{
    Context, Key, KeyAction, Keymap,
    defaults::{DEFAULTS, ESSENTIAL},
};
use crate::config::{
    diagnose::{Diagnostic, Faults, list, suggest},
    raw::{self, Node, Value},
};

impl Keymap {
    /// Reads a keymap file over the bindings we come with. With faults, what could be understood is in the keymap; a
    /// caller that finds an error among them should say so and not use it.
    pub fn load_str(path: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        let mut faults = Faults::new(path, text);
        let mut keymap = Self::default();
        let root = raw::parse(&mut faults);
        let mut written: Vec<Written> = Vec::new();
        for entry in root.entries() {
            let Some(context) = Context::ALL.into_iter().find(|context| context.name() == entry.key) else {
                faults
                    .error(entry.key_span.clone(), format!("unknown context `{}`", entry.key))
                    .maybe_help(suggest(&entry.key, Context::ALL.map(Context::name)));
                continue;
            };
            if entry.node.table().is_none() {
                faults
                    .error(
                        entry.node.span.clone(),
                        format!("`{}` must be a table of bindings, not {}", entry.key, entry.node.kind()),
                    )
                    .help(format!("write `[{}]`, followed by lines such as `logs = \"l\"`", entry.key));
            }
            for binding in entry.node.entries() {
                written.extend(keymap.bind(
                    context,
                    &binding.key,
                    &binding.key_span,
                    &binding.node,
                    &mut faults,
                ));
            }
        }
        keymap.check(&written, &mut faults);
        (keymap, faults.into_sorted())
    }

    /// Takes one line of a keymap file: the action's keys in that context become the ones written.
    fn bind(
        &mut self,
        context: Context,
        name: &str,
        span: &Range<usize>,
        node: &Node,
        faults: &mut Faults<'_>,
    ) -> Vec<Written> {
        let Some(action) = action_of(context, name, span, faults) else { return Vec::new() };
        let nodes =
            if let Value::List(items) = &node.value { items.as_slice() } else { std::slice::from_ref(node) };
        let written: Vec<Written> =
            nodes.iter().filter_map(|item| key_of(item, context, action, name, faults)).collect();
        if let Some((_, keys)) =
            self.contexts.entry(context).or_default().0.iter_mut().find(|(other, _)| *other == action)
        {
            *keys = written.iter().map(|written| written.key).collect();
        }
        if written.is_empty() && nodes.is_empty() && ESSENTIAL.contains(&action) {
            faults
                .error(span.clone(), format!("`{name}` must have a key"))
                .help("this action must always be available; bind it to another key instead");
        }
        written
    }

    /// Looks for keys with two meanings, and for essential actions that a context hides.
    fn check(&self, written: &[Written], faults: &mut Faults<'_>) {
        for (at, binding) in written.iter().enumerate() {
            self.check_clashes(binding, &written[at + 1..], faults);
            let same = |w: &Written| {
                w.context == binding.context && w.key == binding.key && w.action == binding.action
            };
            if written[..at].iter().any(same) {
                faults.error(binding.span.clone(), format!("`{}` is given twice", binding.key));
            }
        }
        for action in ESSENTIAL {
            self.check_hidden(*action, written, faults);
        }
    }

    /// What the file leaves as it is counts too: a key must not mean two things in one context. Two lines of the file that clash
    /// are told once, at the later one.
    fn check_clashes(&self, binding: &Written, later: &[Written], faults: &mut Faults<'_>) {
        let bindings = self.bindings(binding.context);
        let others = bindings.0.iter().filter(|(_, keys)| keys.contains(&binding.key));
        for (other, _) in others.filter(|(action, _)| *action != binding.action) {
            let told_later = later
                .iter()
                .any(|w| w.context == binding.context && w.key == binding.key && w.action == *other);
            if told_later {
                continue;
            }
            let (key, other, context) = (&binding.key, other.name(), binding.context.name());
            faults
                .error(binding.span.clone(), format!("`{key}` is already `{other}` in [{context}]"))
                .help(format!("choose another key, or bind `{other}` to another one in the same table"));
        }
    }

    /// Either the action was moved onto a key that a context uses, or a context took the action's key.
    fn check_hidden(&self, action: KeyAction, written: &[Written], faults: &mut Faults<'_>) {
        let keys = self.bindings(Context::Global).keys(action);
        let hides = |context: &Context| {
            let here = self.bindings(*context);
            here.keys(action).is_empty()
                && !keys.is_empty()
                && keys.iter().all(|key| here.action(*key).is_some())
        };
        let hidden: Vec<Context> =
            Context::ALL.into_iter().filter(|context| context.falls_through()).filter(hides).collect();
        let culprit = written.iter().find(|w| {
            keys.contains(&w.key)
                && (hidden.contains(&w.context) || (w.context == Context::Global && w.action == action))
        });
        if let Some(culprit) = culprit.filter(|_| !hidden.is_empty()) {
            let names: Vec<&str> = hidden.iter().map(|context| context.name()).collect();
            let (key, places, name) = (&culprit.key, list(&names), action.name());
            faults
                .error(
                    culprit.span.clone(),
                    format!(
                        "`{key}` is bound to something else in {places}, so `{name}` would have no key there"
                    ),
                )
                .help(format!("`{name}` must be available everywhere; choose another key"));
        }
    }
}

/// The action of this name, where it can be bound in this context.
fn action_of(
    context: Context,
    name: &str,
    span: &Range<usize>,
    faults: &mut Faults<'_>,
) -> Option<KeyAction> {
    let here = DEFAULTS.iter().filter(|(known, _)| *known == context);
    let allowed: Vec<&str> = here.flat_map(|(_, all)| all.iter().map(|(action, _)| action.name())).collect();
    let Some(action) = KeyAction::from_name(name) else {
        faults
            .error(span.clone(), format!("unknown action `{name}` in [{}]", context.name()))
            .maybe_help(suggest(name, allowed));
        return None;
    };
    if allowed.contains(&name) {
        return Some(action);
    }
    let places = DEFAULTS.iter().filter(|(_, all)| all.iter().any(|(known, _)| *known == action));
    let places: Vec<&str> = places.map(|(context, _)| context.name()).collect();
    faults
        .error(span.clone(), format!("`{name}` has no effect in [{}]", context.name()))
        .help(format!("it can be bound in {}", list(&places)));
    None
}

/// A key of an action, where it may be bound to it in this context.
fn key_of(
    item: &Node,
    context: Context,
    action: KeyAction,
    name: &str,
    faults: &mut Faults<'_>,
) -> Option<Written> {
    let span = item.span.clone();
    let Some(text) = item.text() else {
        faults
            .error(span, format!("a key must be text, not {}", item.kind()))
            .help(format!("write `{name} = \"x\"` or `{name} = [\"x\", \"space\"]`"));
        return None;
    };
    match text.parse::<Key>() {
        Ok(key) if key.is_text() && context == Context::Input => {
            faults
                .error(span, format!("`{key}` would be typed into the text field"))
                .help("in [input] only named keys such as `enter` or `pgup` can be bound");
            None
        }
        Ok(key) if key.ctrl && action.is_weighty() => {
            faults.error(span, format!("`{name}` cannot be bound to ctrl")).help(
                "keys that start, confirm or undo something must not be one slip away from copy and paste",
            );
            None
        }
        Ok(key) => Some(Written { context, action, key, span }),
        Err(bad) => {
            let help = bad.help();
            faults.error(span, format!("key {bad}")).help(help);
            None
        }
    }
}

/// A key as a keymap file binds it.
struct Written {
    context: Context,
    action: KeyAction,
    key: Key,
    span: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_bindings() {
        let (keymap, faults) = Keymap::load_str(
            "keymap.toml",
            "[global]\nlogs = [\"L\", \"w\"]\n[checklist]\nnot-needed = \"z\"\n",
        );
        assert_eq!(faults, []);
        assert_eq!(keymap.action(Context::Global, Key::char('L')), Some(KeyAction::Logs));
        assert_eq!(keymap.action(Context::Global, Key::char('l')), None);
        assert_eq!(keymap.action(Context::Checklist, Key::char('z')), Some(KeyAction::NotNeeded));
        assert_eq!(keymap.label(Context::Checklist, KeyAction::Logs).unwrap(), "L");
    }

    #[test]
    fn a_file_that_would_make_the_screen_unsafe_is_refused() {
        let text = r#"
[global]
rolback = "R"
rollback = "s"
logs = "ctrl-c"
links = "alt-o"
contacts = "F2"
confirm = "ctrl-e"
quit = []
tick = "space"
zoom = 5
help = "m"
[steps]
skip = "r"
[input]
confirm = "a"
[stps]
"#;
        let (_, faults) = Keymap::load_str("keymap.toml", text);
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        keymap.toml:3:1: error: unknown action `rolback` in [global]; did you mean `rollback`?
        keymap.toml:4:12: error: `s` is bound to something else in `incident`, so `rollback` would have no key there; `rollback` must be available everywhere; choose another key
        keymap.toml:5:8: error: key `ctrl-c` is the terminal's interrupt; here it only tells how to quit; use a letter, a digit, a sign, or a named key such as `space` or `pgup`
        keymap.toml:6:9: error: key `alt-o` uses alt, which many terminals intercept or send as escape; use a letter, a digit, a sign, or a named key such as `space` or `pgup`
        keymap.toml:7:12: error: key `F2` is a function key; terminals and desktops intercept those; use a letter, a digit, a sign, or a named key such as `space` or `pgup`
        keymap.toml:8:11: error: `confirm` cannot be bound to ctrl; keys that start, confirm or undo something must not be one slip away from copy and paste
        keymap.toml:9:1: error: `quit` must have a key; this action must always be available; bind it to another key instead
        keymap.toml:10:1: error: `tick` has no effect in [global]; it can be bound in `checklist`, `steps`, `incident`, `tasks` and `dialog`
        keymap.toml:11:8: error: a key must be text, not a whole number; write `zoom = "x"` or `zoom = ["x", "space"]`
        keymap.toml:12:8: error: `m` is already `metrics` in [global]; choose another key, or bind `metrics` to another one in the same table
        keymap.toml:14:8: error: `r` is already `retry` in [steps]; choose another key, or bind `retry` to another one in the same table
        keymap.toml:16:11: error: `a` would be typed into the text field; in [input] only named keys such as `enter` or `pgup` can be bound
        keymap.toml:17:2: error: unknown context `stps`; did you mean `steps`?
        "#);
    }
}
