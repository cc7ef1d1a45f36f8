//! A page as a list of its blocks, each with its line.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// From 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its level and text.
    Heading(usize, Text),
    Paragraph(Text),
    /// A list with bullets or numbers. What is nested in it is not kept.
    List(Vec<Text>),
    /// A task list. What is nested in it is not kept.
    Tasks(Vec<Text>),
    /// Language and text.
    Fence(String, String),
    /// The head, and the rows.
    Table(Vec<String>, Vec<Vec<String>>),
    /// Anything else, such as a quote or HTML.
    Other(String),
}

/// A text and how it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// All of it but the label.
    pub(super) words: String,
    /// Bold words with a colon in front, without the colon.
    pub(super) label: Option<String>,
    /// Whether it begins with words in italics.
    pub(super) is_view: bool,
    /// Where its link leads.
    pub(super) link: Option<String>,
    /// Its code in backticks.
    pub(super) code: Option<String>,
}

/// Reads a page.
pub(super) fn read(page: &str) -> Vec<Block> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let mut reader = Reader { page, counted: (0, 1), ..Reader::default() };
    for (event, range) in Parser::new_ext(page, options).into_offset_iter() {
        reader.event(event, range.start);
    }
    reader.blocks
}

#[derive(Default)]
struct Reader<'p> {
    page: &'p str,
    blocks: Vec<Block>,
    /// A place in the page and its line, for counting on from there.
    counted: (usize, usize),
    /// How many lists, items and quotes are open.
    depth: usize,
    /// Where the outermost of them, or another block, began.
    began: usize,
    text: Text,
    /// Whether bold or italic words at the beginning of a text are being read.
    in_strong: bool,
    in_emphasis: bool,
    items: Vec<Text>,
    is_tasks: bool,
    /// The text of the open item is read; what follows in it is nested.
    item_done: bool,
    quoted: usize,
    fence: Option<String>,
    head: Vec<String>,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Reader<'_> {
    fn put(&mut self, kind: Kind) {
        let (from, line) = self.counted;
        let more = self.page.get(from..self.began).unwrap_or_default().matches('\n').count();
        self.counted = (self.began.max(from), line + more);
        self.blocks.push(Block { line: line + more, kind });
    }

    fn event(&mut self, event: Event<'_>, at: usize) {
        if self.depth == 0 && matches!(event, Event::Start(_) | Event::Html(_) | Event::Rule) {
            let inside = matches!(
                event,
                Event::Start(
                    Tag::TableRow
                        | Tag::TableCell
                        | Tag::TableHead
                        | Tag::Strong
                        | Tag::Emphasis
                        | Tag::Link { .. }
                )
            );
            if !inside {
                self.began = at;
            }
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.words(&text),
            Event::Code(code) => {
                self.words(&format!("`{code}`"));
                if !self.item_done {
                    self.text.code.get_or_insert_with(|| code.to_string());
                }
            }
            Event::SoftBreak => self.words(" "),
            Event::HardBreak => self.words("\n"),
            Event::InlineHtml(html) if &*html == "<br>" => self.words("\n"),
            Event::InlineHtml(html) => self.words(&html),
            Event::Html(html) if self.depth == 0 && !html.trim().is_empty() => {
                self.put(Kind::Other(html.trim().to_owned()));
            }
            Event::TaskListMarker(_) if self.depth == 2 => self.is_tasks = true,
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.item_done && self.fence.is_none() {
            return;
        }
        if self.in_strong && self.text.words.is_empty() {
            self.text.label.get_or_insert_default().push_str(words);
        } else {
            self.text.words.push_str(words);
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::List(_) => {
                if self.depth == 0 {
                    (self.items, self.is_tasks) = (Vec::new(), false);
                    self.text = Text::default();
                }
                self.end_item_text();
                self.depth += 1;
            }
            Tag::Item => {
                self.depth += 1;
                if self.depth == 2 {
                    self.item_done = false;
                    self.text = Text::default();
                }
            }
            Tag::BlockQuote(_) => {
                self.quoted += 1;
                self.text = Text::default();
            }
            Tag::CodeBlock(kind) => {
                self.end_item_text();
                if self.depth == 0 {
                    self.text = Text::default();
                }
                self.fence = Some(match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                });
            }
            Tag::Paragraph if self.depth == 0 && self.quoted == 0 => self.text = Text::default(),
            Tag::Heading { .. } | Tag::TableCell => self.text = Text::default(),
            Tag::Table(_) => (self.head, self.rows) = (Vec::new(), Vec::new()),
            Tag::Strong => self.in_strong = self.text == Text::default(),
            Tag::Emphasis => self.in_emphasis = self.text == Text::default(),
            Tag::Link { dest_url, .. } if !self.item_done => {
                self.text.link.get_or_insert_with(|| dest_url.to_string());
            }
            _ => {}
        }
        if self.in_emphasis {
            self.text.is_view = true;
            self.in_emphasis = false;
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong if self.in_strong => {
                self.in_strong = false;
                // Bold words that are no label belong to the text.
                let label = self.text.label.take().unwrap_or_default();
                match label.strip_suffix(':') {
                    Some(label) => self.text.label = Some(label.to_owned()),
                    None => self.text.words = label,
                }
            }
            TagEnd::Paragraph if self.depth > 0 => self.end_item_text(),
            TagEnd::Paragraph if self.quoted > 0 => self.text.words.push('\n'),
            TagEnd::Paragraph => {
                let text = self.take_text();
                self.put(Kind::Paragraph(text));
            }
            TagEnd::BlockQuote(_) => {
                self.quoted = self.quoted.saturating_sub(1);
                if self.quoted == 0 && self.depth == 0 {
                    let text = self.take_text();
                    let label = text.label.map(|label| format!("{label}: ")).unwrap_or_default();
                    self.put(Kind::Other(format!("{label}{}", text.words)));
                }
            }
            TagEnd::Heading(level) => {
                let text = self.take_text();
                self.put(Kind::Heading(level as usize, text));
            }
            TagEnd::CodeBlock => {
                let language = self.fence.take().unwrap_or_default();
                if self.depth == 0 {
                    let text = std::mem::take(&mut self.text);
                    self.put(Kind::Fence(language, text.words));
                }
            }
            TagEnd::Item => {
                self.end_item_text();
                self.depth = self.depth.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.item_done = false;
                    let items = std::mem::take(&mut self.items);
                    let kind = if self.is_tasks { Kind::Tasks(items) } else { Kind::List(items) };
                    self.put(kind);
                }
            }
            TagEnd::TableCell => {
                let text = self.take_text();
                self.row.push(text.words);
            }
            TagEnd::TableHead => self.head = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.rows.push(std::mem::take(&mut self.row)),
            TagEnd::Table => {
                let (head, rows) = (std::mem::take(&mut self.head), std::mem::take(&mut self.rows));
                self.put(Kind::Table(head, rows));
            }
            _ => {}
        }
    }

    /// The text of an item ends where something nested begins, or with the item.
    fn end_item_text(&mut self) {
        if self.depth == 2 && !self.item_done {
            let text = self.take_text();
            self.items.push(text);
            self.item_done = true;
        }
    }

    fn take_text(&mut self) -> Text {
        let mut text = std::mem::take(&mut self.text);
        text.words = text.words.trim().to_owned();
        text
    }
}
