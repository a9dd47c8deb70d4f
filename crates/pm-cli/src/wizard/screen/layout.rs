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

/// One column.
pub(super) struct Column {
    header: String,
    cells: Vec<Cell>,
    /// Goes when there is no room, the highest first.
    rank: Option<u8>,
    /// Takes what the others leave.
    is_prose: bool,
}

impl Column {
    pub(super) fn new(header: String, rows: &[Row], cell: fn(&Row) -> &Cell) -> Self {
        Self {
            header,
            cells: rows.iter().map(|row| cell(row).clone()).collect(),
            rank: None,
            is_prose: false,
        }
    }

    pub(super) fn rank(mut self, rank: u8) -> Self {
        self.rank = Some(rank);
        self
    }

    pub(super) fn prose(mut self) -> Self {
        self.is_prose = true;
        self
    }

    fn natural(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.text.width());
        cells.chain([self.header.width()]).max().unwrap_or(0)
    }

    fn least(&self) -> usize {
        let natural = self.natural();
        if self.is_prose {
            natural.min(SHORTEST)
        } else {
            natural
        }
    }
}

/// Returns a line of headers and a line each row, none wider than `width`.
pub(super) fn render(mut columns: Vec<Column>, width: usize, look: Look) -> Vec<String> {
    let needed = |columns: &[Column], gap: usize| {
        let cells: usize = columns.iter().map(Column::least).sum();
        1 + cells + gap * columns.len().saturating_sub(1)
    };
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
    let spare = width.saturating_sub(needed(&columns, gap));
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            let grows = if column.is_prose { spare } else { 0 };
            (column.least() + grows).min(column.natural())
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
