//! What a reader should make of something: the only thing that colour stands for.

/// Whether somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Tone {
    /// It is as it is.
    #[default]
    Plain,
    /// Well.
    Well,
    /// To be watched, or looked at later.
    Watch,
    /// Wrong.
    Bad,
}

impl Tone {
    /// The class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Well => "well",
            Self::Watch => "watch",
            Self::Bad => "bad",
        }
    }

    /// The sign in front of a word; colour alone says nothing on paper.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Plain => "·",
            Self::Well => "✔",
            Self::Watch => "!",
            Self::Bad => "✖",
        }
    }
}
