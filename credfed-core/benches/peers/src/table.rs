//! Markdown tables.

/// A table with a header, one row after the other.
pub struct Table(String);

impl Table {
    pub fn new<S: AsRef<str>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self(String::new());
        let columns = table.row(header);
        table.row(std::iter::repeat_n("---", columns));
        table
    }

    /// Adds a row; gives how many cells it has.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) -> usize {
        self.0.push('|');
        let mut count = 0;
        for cell in cells {
            self.0.push_str(&format!(" {} |", cell.as_ref()));
            count += 1;
        }
        self.0.push('\n');
        count
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
