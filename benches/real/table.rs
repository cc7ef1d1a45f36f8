//! The table that the measuring program prints at its end.

#![expect(clippy::print_stdout, reason = "a measuring program prints")]

/// What was measured, line by line.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 3]>);

impl Table {
    /// One figure, with what it should be or what stands beside it. It is shown at once: the next one may take minutes.
    pub(crate) fn line(
        &mut self,
        what: impl Into<String>,
        measured: impl Into<String>,
        beside: impl Into<String>,
    ) {
        let line = [what.into(), measured.into(), beside.into()];
        println!("   {}: {}  ({})", line[0], line[1], line[2]);
        self.0.push(line);
    }

    /// All of them, as a document has it.
    pub(crate) fn print(&self) {
        println!("\n| | measured | budget, or beside it |\n|---|---|---|");
        for [what, measured, beside] in &self.0 {
            println!("| {what} | {measured} | {beside} |");
        }
    }
}
