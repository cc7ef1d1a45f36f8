//! Reads a page as a browser's parser would see its elements, as far as tests need it.

use std::collections::BTreeSet;

/// Elements that have no end.
const VOID: [&str; 2] = ["meta", "br"];

/// Every element, and every attribute with its element: `td`, `td class`.
pub(super) fn elements(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for tag in tags(page).into_iter().filter(|tag| !tag.starts_with('/') && !tag.starts_with('!')) {
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        // An attribute's name stands before `="`; what is in quotes is no name.
        let mut rest = tag.get(name.len()..).unwrap_or_default();
        while let Some((attribute, tail)) = rest.split_once("=\"") {
            found.insert(format!("{name} {}", attribute.trim()));
            rest = tail.split_once('"').map_or("", |(_, after)| after);
        }
        found.insert(name);
    }
    found
}

/// Whether every element ends, and in order.
pub(super) fn is_balanced(page: &str) -> Result<(), String> {
    let mut open: Vec<String> = Vec::new();
    for tag in tags(page) {
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last.as_deref() != Some(name) {
                return Err(format!("</{name}> ends {last:?}"));
            }
        } else if !tag.ends_with('/') && !tag.starts_with('!') {
            let name = tag.split(' ').next().unwrap_or_default();
            if !VOID.contains(&name) {
                open.push(name.to_owned());
            }
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} do not end")) }
}

pub(super) fn count(text: &str, of: char) -> usize {
    text.chars().filter(|c| *c == of).count()
}

/// What stands between `<` and `>`; the style sheet apart.
fn tags(page: &str) -> Vec<&str> {
    let (before, rest) = page.split_once("<style>").unwrap_or((page, ""));
    let after = rest.split_once("</style>").map_or("", |(_, after)| after);
    let inside = |text| -> Vec<&str> {
        let pieces: Vec<&str> = str::split(text, '<').skip(1).collect();
        pieces.into_iter().map(|piece| piece.split_once('>').map_or(piece, |(tag, _)| tag)).collect()
    };
    [inside(before), inside(after)].concat()
}
