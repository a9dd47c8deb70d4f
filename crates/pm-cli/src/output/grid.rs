//! Tables that fit a terminal: what is least needed is left out, what is longest is cut short.

use std::cell::Cell;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};
use unicode_width::UnicodeWidthStr;

/// What stands between two columns.
const GAP: u16 = 2;

/// What is left at least of a column whose cells may be cut short.
const SHORTEST: u16 = 8;

/// What is left of a name before columns are left out.
const SHORT_NAME: u16 = 16;

/// What is left of it after that: the longest range is never cut short.
const SHORTEST_NAME: u16 = 13;

/// Returns a text that is at least so many columns of a terminal wide.
pub(super) fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

thread_local! {
    static IS_ASCII: Cell<bool> = const { Cell::new(false) };
}

/// Uses no sign beyond ASCII from now on, on this thread, or does.
pub(crate) fn use_ascii(only: bool) {
    IS_ASCII.set(only);
}

/// Returns what stands where something was cut short.
fn sign_of_cut() -> &'static str {
    if IS_ASCII.get() { "..." } else { "…" }
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    header: String,
    cells: Vec<String>,
    kind: Kind,
    /// When it is left out of a table that is too wide: the lowest number first; `None`: never.
    rank: Option<u8>,
    /// Whether names are cut as short as they can be before.
    is_vital: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Whole, to the left.
    Word,
    /// Whole, to the right.
    Number,
    /// Cut short before columns are left out, and no further than that.
    Name,
    /// Takes what is left.
    Prose,
}

impl Column {
    /// Returns a column of words, to the left.
    pub(super) fn words(header: String, cells: impl Iterator<Item = String>) -> Self {
        Self::new(header, cells, Kind::Word)
    }

    /// Returns a column of numbers, to the right.
    pub(super) fn numbers(header: String, cells: impl Iterator<Item = String>) -> Self {
        Self::new(header, cells, Kind::Number)
    }

    /// Returns a column of names, of which long ones may be cut short.
    pub(super) fn names(header: String, cells: impl Iterator<Item = String>) -> Self {
        Self::new(header, cells, Kind::Name)
    }

    /// Returns a column of text, which is cut short to what the others leave.
    pub(super) fn prose(header: String, cells: impl Iterator<Item = String>) -> Self {
        Self::new(header, cells, Kind::Prose)
    }

    fn new(header: String, cells: impl Iterator<Item = String>, kind: Kind) -> Self {
        Self {
            header,
            cells: cells.collect(),
            kind,
            rank: None,
            is_vital: false,
        }
    }

    /// Lets the column be left out where the table is too wide, those of low rank first.
    pub(super) fn rank(mut self, rank: u8) -> Self {
        self.rank = Some(rank);
        self
    }

    /// The same, but only where nothing else is left that could be.
    pub(super) fn vital(mut self, rank: u8) -> Self {
        (self.rank, self.is_vital) = (Some(rank), true);
        self
    }
}

/// Returns the table of `columns`: a line each row.
///
/// `width` is in columns of the terminal; `None`: the terminal's, or as wide as it takes where
/// there is none.
pub(super) fn render(mut columns: Vec<Column>, width: Option<u16>) -> String {
    let mut table = filled(&columns, width);
    let mut widths = table.column_max_content_widths();
    if let Some(available) = table.width() {
        while let Some(lowest) = next_to_go(&columns, &widths, available) {
            columns.retain(|column| column.rank != Some(lowest));
            table = filled(&columns, width);
            widths = table.column_max_content_widths();
        }
        shorten_names(&mut columns, &widths, available);
        table = filled(&columns, width);
        widths = table.column_max_content_widths();
        constrain(&mut table, &columns, &widths, Some(available));
    } else {
        constrain(&mut table, &columns, &widths, None);
    }
    table.trim_fmt()
}

/// Whether a table of `columns` has room for all of them, none cut short; `width` as in [`render`].
pub(super) fn fits(columns: &[Column], width: Option<u16>) -> bool {
    let table = filled(columns, width);
    let widths = table.column_max_content_widths();
    let gaps = GAP.saturating_mul(
        u16::try_from(columns.len())
            .unwrap_or(u16::MAX)
            .saturating_sub(1),
    );
    let all = widths
        .iter()
        .fold(gaps, |sum, &one| sum.saturating_add(one));
    table.width().is_none_or(|available| all <= available)
}

fn filled(columns: &[Column], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator(sign_of_cut())
        .set_header(one_high(columns.iter().map(|column| &column.header).into()));
    if let Some(width) = width {
        table.set_width(width);
    }
    let rows = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        let cells = columns.iter().filter_map(|column| column.cells.get(row));
        table.add_row(one_high(cells.into()));
    }
    table
}

fn one_high(mut row: Row) -> Row {
    row.max_height(1);
    row
}

/// Returns the rank of those that are left out of a table that is too wide; `None`: none are.
fn next_to_go(columns: &[Column], widths: &[u16], available: u16) -> Option<u8> {
    let lowest = |is_vital: bool| {
        let columns = columns.iter().filter(|column| column.is_vital == is_vital);
        columns.filter_map(|column| column.rank).min()
    };
    let needed = |name: u16| needed_with(name, columns, widths);
    match lowest(false) {
        Some(lowest) => Some(lowest).filter(|_| needed(SHORT_NAME) > available),
        None => lowest(true).filter(|_| needed(SHORTEST_NAME) > available),
    }
}

/// Returns how wide the table is at least, before names are cut as short as they can be.
fn needed(columns: &[Column], widths: &[u16]) -> u16 {
    needed_with(SHORT_NAME, columns, widths)
}

fn needed_with(name: u16, columns: &[Column], widths: &[u16]) -> u16 {
    let shortest = columns
        .iter()
        .zip(widths)
        .map(|(column, &width)| match column.kind {
            Kind::Word | Kind::Number => width,
            Kind::Name => width.min(name),
            Kind::Prose => width.min(SHORTEST),
        });
    let gaps = GAP.saturating_mul(
        u16::try_from(columns.len())
            .unwrap_or(u16::MAX)
            .saturating_sub(1),
    );
    shortest.fold(gaps, u16::saturating_add)
}

/// Cuts names short to what is left for them: comfy-table would do so at the last space, which may
/// leave next to nothing of a name.
fn shorten_names(columns: &mut [Column], widths: &[u16], available: u16) {
    let needed = needed(columns, widths);
    for (column, &width) in columns.iter_mut().zip(widths) {
        if column.kind == Kind::Name {
            let left = name_width(width, available, needed).into();
            for cell in &mut column.cells {
                if cell.width() > left {
                    let sign = sign_of_cut();
                    let begin = console::truncate_str(cell, left.saturating_sub(sign.width()), "");
                    *cell = format!("{}{sign}", begin.trim_end());
                }
            }
        }
    }
}

/// Returns how wide a column of names is to be whose longest takes `width`.
fn name_width(width: u16, available: u16, needed: u16) -> u16 {
    width
        .min(SHORT_NAME)
        .saturating_add(available)
        .saturating_sub(needed)
        .clamp(width.min(SHORTEST_NAME), width)
}

fn constrain(table: &mut Table, columns: &[Column], widths: &[u16], available: Option<u16>) {
    let last = columns.len().saturating_sub(1);
    let needed = needed(columns, widths);
    let wide = |width: u16| match available {
        None => width,
        Some(available) => name_width(width, available, needed),
    };
    let columns = columns.iter().zip(widths).enumerate();
    for ((index, (column, &width)), shown) in columns.zip(table.column_iter_mut()) {
        let gap = if index == last { 0 } else { GAP };
        shown.set_padding((0, gap));
        shown.set_constraint(match column.kind {
            Kind::Prose => ColumnConstraint::LowerBoundary(Width::Fixed(SHORTEST + gap)),
            Kind::Name => ColumnConstraint::Absolute(Width::Fixed(wide(width) + gap)),
            Kind::Word | Kind::Number => ColumnConstraint::ContentWidth,
        });
        if column.kind == Kind::Number {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
}
