//! A numbered list that is the whole course: each of its items is a step.

use super::{
    amounts, aside,
    draft::{Entry, Point},
    fence,
    page::{Block, Item, Lines, Text},
    roles::{self, Role},
    sections::Section,
    walk::{DEEPEST, Walk},
    words::one_line,
};

/// The longest title of a step, in characters.
const TITLE: usize = 80;

impl Walk<'_> {
    /// Whether a list is the course: it stands below the page's title, or a heading that says no more than that steps follow,
    /// and its items have more in them than a line each that a person ticks.
    pub(super) fn is_procedure(&mut self, items: &[Item]) -> bool {
        let (known, section, role) = (self.section().step, self.section().role, self.role());
        let begun = known.is_some_and(|at| self.draft.steps.get(at).is_some_and(|it| !it.entries.is_empty()));
        self.within == 0
            && (section, role) == (Role::Step, Role::Step)
            && !begun
            && (self.section().title.is_empty() || roles::is_course(&self.section().title))
            && are_steps(items)
    }

    /// A step of each item.
    pub(super) fn procedure_of(&mut self, items: &[Item]) {
        self.flush();
        let outside = self.sections.len();
        for item in items {
            let Some((text, rest)) = first(item) else { continue };
            self.sections.push(Section {
                level: DEEPEST,
                role: Role::Step,
                title: title(text),
                line: item.lines.first,
                step: None,
                procedure: None,
                group: None,
                due: None,
            });
            let own = Lines {
                first: text.line.max(item.lines.first),
                last: rest.first().map_or(item.lines.last, |next| starts(next).saturating_sub(1)),
            };
            let own = Lines { last: own.last.max(own.first), ..own };
            let step = self.draft.steps.len();
            self.speaks_of_strategy(&text.plain);
            self.within += 1;
            if rest.is_empty() || fence::inline(&text.plain, &text.code).is_some() {
                self.point(text, None, true, own);
            } else {
                self.ledger.taken(own.first, own.last, "a step");
                if text.label.is_some() && !text.rest.is_empty() {
                    self.remark(&text.rest, own.first);
                }
            }
            self.blocks(rest);
            self.within -= 1;
            self.label = None;
            self.aside = false;
            self.sections.truncate(outside + 1);
            if self.draft.steps.get(step).is_none_or(|step| step.entries.is_empty()) {
                let point = Point { text: text.plain.clone(), line: own.first, optional: false };
                self.ledger.counts.items += 1;
                self.step().entries.push(Entry::Item(point));
            }
            if let Some(step) =
                self.draft.steps.get_mut(step).filter(|_| amounts::bound(&text.plain).is_none())
            {
                step.watch = step.watch.or_else(|| amounts::lasting(&text.plain));
            }
            self.sections.truncate(outside);
        }
    }
}

/// An item's own text, and what belongs to it.
fn first(item: &Item) -> Option<(&Text, &[Block])> {
    match item.blocks.split_first() {
        Some((Block::Paragraph { texts, .. }, rest)) if texts.len() == 1 => Some((texts.first()?, rest)),
        _ => None,
    }
}

fn starts(block: &Block) -> usize {
    match block {
        Block::Heading { lines, .. }
        | Block::Paragraph { lines, .. }
        | Block::Fence { lines, .. }
        | Block::List { lines, .. }
        | Block::Table { lines, .. }
        | Block::Quote { lines, .. }
        | Block::Html { lines, .. }
        | Block::Meta { lines, .. }
        | Block::Rule { lines } => lines.first,
    }
}

/// Items of which some have a name in bold or something below them, or a person has to do some and the run others.
fn are_steps(items: &[Item]) -> bool {
    let all: Option<Vec<(&Text, &[Block])>> = items.iter().map(first).collect();
    let Some(all) = all.filter(|all| all.len() > 1) else { return false };
    let plain = |(text, rest): &(&Text, &[Block])| {
        !text.plain.is_empty()
            && !aside::is_another_way(&text.plain)
            && !aside::is_variant(&text.plain)
            && !rest.iter().any(|block| matches!(block, Block::Heading { .. }))
    };
    if items.iter().any(|item| item.task.is_some()) || !all.iter().all(plain) {
        return false;
    }
    let runs = all.iter().filter(|(text, _)| fence::inline(&text.plain, &text.code).is_some()).count();
    let more = all.iter().any(|(text, rest)| !rest.is_empty() || text.label.is_some());
    more || runs > 0 && runs < all.len()
}

/// What an item is called as a step: its words in bold, else its own, without a command at their end.
fn title(text: &Text) -> String {
    let whole = text.label.clone().unwrap_or_else(|| {
        let command = fence::inline(&text.plain, &text.code).unwrap_or_default();
        let named = text.plain.split_once(&format!("`{command}`")).map_or("", |(before, _)| before);
        let named = if named.split_whitespace().count() > 1 { named } else { &text.plain };
        named.to_owned()
    });
    let whole = one_line(&whole.replace('`', ""));
    let whole = whole.trim_end_matches([':', '.', ' ', ',']);
    if whole.chars().count() <= TITLE {
        return if whole.is_empty() { text.plain.clone() } else { whole.to_owned() };
    }
    let mut short = String::new();
    for word in whole.split(' ') {
        if !short.is_empty() && short.chars().count() + word.chars().count() > TITLE {
            break;
        }
        short.push_str(word);
        short.push(' ');
    }
    format!("{} …", short.trim_end())
}
