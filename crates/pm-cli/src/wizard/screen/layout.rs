//! Columns that fit a width: what is least needed goes first, then the last is cut short.

use unicode_width::UnicodeWidthStr;

use super::rows::{Cell, Row};
use crate::wizard::ui::look::{Look, Paint, fit};

/// What stands between two columns.
const GAP: usize = 2;

/// What stands between two columns where there is no room.
const NARROW_GAP: usize = 1;

/// What is left at least of a column that takes what is left.
const SHORTEST: usize = 10;

/// What is left at least of a column of names: the longest range, and that it is in a group.
pub(super) const SHORTEST_NAME: usize = 12;

/// One column.
pub(super) struct Column {
    header: String,
    cells: Vec<Cell>,
    /// Goes when there is no room, the highest first.
    rank: Option<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Whole.
    Word,
    /// Cut short where there is no room.
    Name,
    /// Takes what the others leave.
    Prose,
}

impl Column {
    pub(super) fn new(header: String, rows: &[Row], cell: fn(&Row) -> &Cell) -> Self {
        Self {
            header,
            cells: rows.iter().map(|row| cell(row).clone()).collect(),
            rank: None,
            kind: Kind::Word,
        }
    }

    pub(super) fn rank(mut self, rank: u8) -> Self {
        self.rank = Some(rank);
        self
    }

    pub(super) fn name(mut self) -> Self {
        self.kind = Kind::Name;
        self
    }

    pub(super) fn prose(mut self) -> Self {
        self.kind = Kind::Prose;
        self
    }

    fn natural(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.text.width());
        cells.chain([self.header.width()]).max().unwrap_or(0)
    }

    fn least(&self) -> usize {
        let natural = self.natural();
        match self.kind {
            Kind::Word => natural,
            Kind::Name => natural.min(SHORTEST_NAME),
            Kind::Prose => natural.min(SHORTEST),
        }
    }
}

/// Returns how many columns of the terminal they take at least.
fn needed<'a>(columns: impl Iterator<Item = &'a Column>, gap: usize) -> usize {
    let (count, cells) = columns.fold((0, 0), |(count, cells), column| {
        (count + 1, cells + column.least())
    });
    1 + cells + gap * usize::saturating_sub(count, 1)
}

/// Whether those that cannot go fit `width`, none of them cut too short to be read.
pub(super) fn fits(columns: &[Column], width: usize) -> bool {
    let staying = columns.iter().filter(|column| column.rank.is_none());
    needed(staying, NARROW_GAP) <= width
}

/// Returns a line of headers and a line each row, none wider than `width`.
pub(super) fn render(mut columns: Vec<Column>, width: usize, look: Look) -> Vec<String> {
    let needed = |columns: &[Column], gap| needed(columns.iter(), gap);
    while needed(&columns, GAP) > width
        && let Some(highest) = columns.iter().filter_map(|column| column.rank).max()
    {
        columns.retain(|column| column.rank != Some(highest));
    }
    let gap = if needed(&columns, GAP) > width {
        NARROW_GAP
    } else {
        GAP
    };
    let mut spare = width.saturating_sub(needed(&columns, gap));
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            let grows = match column.kind {
                Kind::Word => 0,
                // Names come before the prose, and leave half of what there is.
                Kind::Name => spare / 2,
                Kind::Prose => spare,
            };
            let least = column.least();
            let given = (least + grows).min(column.natural());
            spare -= given - least;
            given
        })
        .collect();
    let count = columns.first().map_or(0, |column| column.cells.len());
    let line = |cell: &dyn Fn(&Column) -> Cell| {
        let mut line = " ".to_owned();
        let mut left = width.saturating_sub(1);
        for (index, (column, &wanted)) in columns.iter().zip(&widths).enumerate() {
            let before = if index == 0 { 0 } else { gap };
            let given = wanted.min(left.saturating_sub(before));
            if given == 0 {
                break;
            }
            let cell = cell(column);
            line.push_str(&" ".repeat(before));
            line.push_str(&look.paint(&fit(&cell.text, given, look), cell.paint));
            left -= before + given;
        }
        if look.rich {
            line
        } else {
            line.trim_end().to_owned()
        }
    };
    let header = |column: &Column| Cell::new(column.header.clone(), Paint::Bold);
    let mut lines = vec![line(&header)];
    lines.extend((0..count).map(|row| line(&|column: &Column| column.cells[row].clone())));
    lines
}
