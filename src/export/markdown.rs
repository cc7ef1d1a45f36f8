//! Markdown that says what a text says: nothing in a text becomes markup, nothing is lost in a table or a block.

use std::fmt::Write as _;

/// What stands in a table for a key that is not given.
pub(super) const NONE: &str = "–";

/// Characters that mean something wherever they stand. `$` begins a formula on some wikis.
const SPECIAL: &str = "\\`*[]$~";

/// A text in a paragraph or list item. A line end becomes one on the page; white space around the text is not kept.
///
/// `indent` are the columns that a line which goes on has to be moved by, in a list item.
pub(super) fn text(written: &str, indent: usize) -> String {
    let lines: Vec<&str> = written.trim().lines().map(str::trim).collect();
    // A table needs two lines.
    let columns = lines.len() > 1;
    let lines: Vec<String> = lines.into_iter().map(|line| escaped(line, true, columns)).collect();
    lines.join(&format!("\\\n{}", " ".repeat(indent)))
}

/// A text in a cell of a table.
pub(super) fn cell(written: &str) -> String {
    let lines: Vec<String> = written.trim().lines().map(|line| escaped(line.trim(), false, true)).collect();
    lines.join("<br>")
}

/// One line without meaning. `first`: what begins a line can make it a heading, an item or a quote; `columns`: a `|` ends a
/// cell.
fn escaped(line: &str, first: bool, columns: bool) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let chars: Vec<char> = line.chars().collect();
    // What makes a line an item stands before a space or alone.
    let alone = |after: usize| chars.get(after).is_none_or(|c| c.is_whitespace());
    let hashes = chars.iter().take_while(|c| **c == '#').count();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let next = chars.get(at + 1);
        let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
        let special = match c {
            // Within a word it is plain.
            '_' => !(word(before) && word(next)),
            '&' => next.is_some_and(|c| c.is_ascii_alphabetic() || *c == '#'),
            '<' => next.is_some_and(|c| c.is_ascii_alphabetic() || "/!?".contains(*c)),
            '|' => columns,
            '#' => first && at == 0 && alone(hashes),
            '+' => first && at == 0 && alone(1),
            '-' => first && at == 0 && (alone(1) || next == Some(&'-')),
            '=' | '>' | ':' => first && at == 0,
            '.' | ')' => first && digits > 0 && at == digits && alone(at + 1),
            c => SPECIAL.contains(*c),
        };
        if special {
            out.push('\\');
        }
        out.push(*c);
    }
    out
}

/// A line for each.
pub(super) fn each_line<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(|item| line(item) + "\n").collect()
}

/// A text as code in a line. Its line ends become spaces.
pub(super) fn code(written: &str) -> String {
    let line = if written.trim_end().contains('\n') {
        written.lines().map(str::trim).collect::<Vec<_>>().join(" ")
    } else {
        written.trim_end_matches('\n').to_owned()
    };
    let fence = "`".repeat(longest_run(&line, '`') + 1);
    let padded = line.starts_with('`')
        || line.ends_with('`')
        || line.starts_with(' ') && line.ends_with(' ') && !line.trim().is_empty();
    let space = if padded { " " } else { "" };
    format!("{fence}{space}{line}{space}{fence}")
}

/// Code in a cell of a table, where a `|` would end the cell.
pub(super) fn code_cell(written: &str) -> String {
    code(written).replace('|', "\\|")
}

/// A block of code; every line is moved by `indent` columns, for a list item.
pub(super) fn fence(language: &str, written: &str, indent: usize) -> String {
    let ticks = "`".repeat((longest_run(written, '`') + 1).max(3));
    let space = " ".repeat(indent);
    let mut out = format!("{space}{ticks}{language}\n");
    for line in written.trim_end().lines() {
        let line = line.trim_end_matches('\r');
        // Writing to a String cannot fail.
        let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "{space}{line}") };
    }
    let _ = writeln!(out, "{space}{ticks}");
    out
}

/// A table from cells that are Markdown already.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<&str> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut out = line(&mut head.iter().copied());
    out.push_str(&line(&mut head.iter().map(|_| "---")));
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// A cell, or the sign for nothing.
pub(super) fn cell_or_none(written: Option<&str>) -> String {
    written.map_or_else(|| NONE.to_owned(), cell)
}

/// A link, or the command that shows the same.
pub(super) fn link(name: &str, to: &str) -> String {
    let leads = to.starts_with("http://") || to.starts_with("https://") || to.starts_with("mailto:");
    if leads && !to.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\\".contains(c)) {
        format!("[{}](<{to}>)", text(name, 2))
    } else {
        format!("**{}:** {}", text(name, 2), code(to))
    }
}

/// A fence or code span must be longer than any run of its own sign in what it holds.
fn longest_run(written: &str, of: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in written.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::reader::parts;

    /// Texts that Markdown would take for something else.
    const HOSTILE: &[&str] = &[
        "# no heading",
        "- no item",
        "+ no item",
        "1. no item",
        "12) no item",
        "1.5 GB",
        "> no quote",
        "=====",
        "---",
        "***",
        "-- two",
        "##",
        "####### seven",
        "#deployments",
        "+1-555-0100",
        "1.0.0",
        "-",
        "a <b> < c </d> <!-- e -->",
        "```sh",
        "~~~",
        "~~struck~~",
        "*loud* _and_ __louder__ snake_case_name",
        "[no](link) ![no](picture) [no]: reference",
        "<script>alert(1)</script> a < b <br>",
        "&amp; &#42; AT&T a & b",
        "a | b || c",
        "`code` and ``more`` \\ \\* \\",
        "$NAME costs $5$",
        "https://example.com/a_b_c?x=1&y=2",
        "[ ] no task",
        "[x] no task",
        ": no definition",
        "ends with a backslash \\",
        "Überraschung 🚀 — “quotes”",
        "    four spaces before",
    ];

    #[test]
    fn a_text_is_read_back_as_it_was_written() {
        for written in HOSTILE {
            let page = format!("- [ ] {}\n\nafter\n", text(written, 2));
            let read = parts(&page);
            assert_eq!(read.tasks, [written.trim()], "{page}");
            assert!(read.headings.is_empty() && read.fences.is_empty() && read.rows.is_empty(), "{page}");
            assert_eq!(
                parts(&format!("## {}\n", text(written, 0))).headings,
                [(2, written.trim().to_owned())]
            );
            assert_eq!(parts(&format!("{}\n", text(written, 0))).texts, format!("{}\n", written.trim()));
        }
    }

    #[test]
    fn a_table_keeps_its_cells() {
        for written in HOSTILE {
            let rows = [vec![cell(written), code_cell(written), cell("two\nlines")]];
            let page = table(&["a", "b", "c"], &rows);
            let expected = vec![written.trim().to_owned(), (*written).to_owned(), "two\nlines".to_owned()];
            assert_eq!(parts(&page).rows, [expected], "{page}");
        }
    }

    #[test]
    fn lines_of_an_item_stay_together() {
        let page = format!("- [ ] {}\n- [ ] b\n", text("one\n# two\n\n- three", 6));
        assert_eq!(parts(&page).tasks, ["one\n# two\n\n- three", "b"], "{page}");
    }

    #[test]
    fn a_block_ends_where_its_text_does() {
        for written in ["echo a\n", "```\nno end\n```\n", "a\n\n````\n", "  indented\n\ttab\n"] {
            for indent in [0, 4] {
                let before = if indent > 0 { "- a\n\n" } else { "" };
                let page = format!("{before}{}\nafter\n", fence("sh", written, indent));
                assert_eq!(parts(&page).fences, [("sh".to_owned(), written.to_owned())], "{page}");
            }
        }
    }

    #[test]
    fn a_link_leads_only_to_the_web() {
        let page = |to: &str| format!("- {}\n", link("A [b] *c*", to));
        assert_eq!(page("https://example.com/a(b)"), "- [A \\[b\\] \\*c\\*](<https://example.com/a(b)>)\n");
        assert_eq!(parts(&page("kubectl logs -l app=`x`")).texts, "A [b] *c*: kubectl logs -l app=`x`\n");
        assert!(!page("javascript:alert(1)").contains("]("));
    }
}
