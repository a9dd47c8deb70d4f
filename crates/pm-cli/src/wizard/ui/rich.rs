//! Questions on a terminal whose cursor moves: the part that a key changes is painted anew.

use std::collections::BTreeSet;
use std::io::{self, Write};

use console::Style;
use dialoguer::theme::ColorfulTheme;
use nix::poll::PollTimeout;
use unicode_width::UnicodeWidthStr;

use super::choice::{Choice, Step};
use super::keys::Key;
use super::line::Line;
use super::look::{Look, Paint, fit, wrap};
use super::several::{self, Several};
use super::terminal::{Guard, Keys};
use super::{Above, Answer, Entry, Question, Stop, size, theme};
use crate::language::tr;

/// A terminal whose cursor moves.
pub(super) struct Rich {
    keys: Keys,
    look: Look,
    theme: ColorfulTheme,
    painted: Painted,
    /// Last: it goes after everything else was written.
    _guard: Guard,
}

/// What was painted and can be painted over.
#[derive(Debug, Default)]
struct Painted {
    /// How many columns each line takes.
    widths: Vec<usize>,
    /// The line of the cursor.
    row: usize,
}

/// The most lines that say what is wrong.
const MOST_OF_AN_ERROR: usize = 6;

/// How long figures that nobody does anything with stay on the screen: until the next tick.
const FRESH_FOR_MS: u16 = 60_000;

const CLEAR: &str = "\x1b[H\x1b[2J";

impl Rich {
    pub(super) fn new(look: Look, guard: Guard) -> Self {
        Self {
            keys: Keys::new(),
            look,
            theme: theme::rich(),
            painted: Painted::default(),
            _guard: guard,
        }
    }

    pub(super) fn clear(&mut self) -> Answer<()> {
        write(CLEAR)
    }

    /// Asks until `read` takes what is typed.
    pub(super) fn ask<T>(
        &mut self,
        question: &Question,
        read: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        let mut line = Line::default();
        let mut wrong = None;
        loop {
            let above = self.head(&question.title, question.hint.as_deref(), wrong.as_deref());
            let masked = question.is_hidden.then(|| line.masked());
            self.paint_with_line(above, masked.as_ref().unwrap_or(&line))?;
            match self.key(&question.title)? {
                Key::EndOfInput if !line.is_empty() => {}
                Key::EndOfInput => return Err(self.stopped(&question.title, Stop::Menu)),
                Key::Enter => match read(&line.text()) {
                    Ok(value) => {
                        self.answered(&question.title, &show(&value))?;
                        return Ok(value);
                    }
                    Err(why) => {
                        wrong = Some(why);
                        line.refuse();
                    }
                },
                key => {
                    line.press(&key);
                }
            }
        }
    }

    /// Asks for one entry, in as many columns as `columns` says there is room for; `None`: Enter
    /// alone, and under what stands `above` a minute without a key, too.
    pub(super) fn choose(
        &mut self,
        title: &str,
        hint: &str,
        entries: &[Entry],
        enter: Option<&str>,
        columns: impl Fn() -> usize,
        above: Option<&Above<'_>>,
    ) -> Answer<Option<usize>> {
        let numbers = entries.iter().map(|entry| entry.number).collect();
        let mut choice = Choice::new(numbers, columns());
        let mut wrong = None;
        loop {
            let columns = columns();
            choice.arrange(columns);
            let (head, below) = self.around(title, Some(hint), wrong.as_deref());
            let lines = self.grid(entries, columns, choice.at());
            let at = choice.at().map_or(0, |at| at / columns.max(1));
            let mut painted = head;
            let room = self.room(painted.len() + below.len() + 1);
            painted.extend(window(lines, at, room, self.look));
            painted.extend(below);
            let prompt = theme::line(&self.theme) + choice.typed();
            let cursor = console::measure_text_width(&prompt);
            painted.push(prompt);
            self.paint(&painted, cursor)?;
            let is_idle = above.is_some() && choice.typed().is_empty();
            let limit = match is_idle {
                true => PollTimeout::from(FRESH_FOR_MS),
                false => PollTimeout::NONE,
            };
            let Some(key) = self.key_within(title, limit)? else {
                self.erase()?;
                return Ok(None);
            };
            match (key, above) {
                (Key::EndOfInput, _) if !choice.typed().is_empty() => {}
                (Key::EndOfInput, _) => return Err(self.stopped(title, Stop::Menu)),
                (Key::Resized, None) => {}
                (Key::Resized, Some(above)) => self.repaint(above)?,
                (Key::PageDown | Key::Char('+'), Some(above)) if is_idle => {
                    (above.turn)(true);
                    self.repaint(above)?;
                }
                (Key::PageUp | Key::Char('-'), Some(above)) if is_idle => {
                    (above.turn)(false);
                    self.repaint(above)?;
                }
                (key, _) => match choice.press(&key) {
                    Step::On => {}
                    Step::Empty => {
                        match enter {
                            Some(enter) => self.answered(title, enter)?,
                            None => self.erase()?,
                        }
                        return Ok(None);
                    }
                    Step::Picked(index) => {
                        let entry = &entries[index];
                        self.answered(title, &entry.text)?;
                        return Ok(Some(index));
                    }
                    Step::Unknown(typed) => wrong = Some(super::no_entry(&typed)),
                },
            }
        }
    }

    fn repaint(&mut self, above: &Above<'_>) -> Answer<()> {
        self.painted = Painted::default();
        self.clear()?;
        (above.paint)()
    }

    /// Asks for any number of `items`, or what is typed instead.
    pub(super) fn several<T>(
        &mut self,
        title: &str,
        hint: &str,
        items: &[String],
        mut several: Several,
        read: impl Fn(&BTreeSet<usize>, &str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        let mut wrong: Option<String> = None;
        loop {
            let (mut painted, below) = self.around(title, Some(hint), wrong.as_deref());
            let lines = items.iter().enumerate().map(|(index, item)| {
                let is_at = index == several.at();
                if several.is_single() {
                    return theme::item(&self.theme, item, is_at);
                }
                theme::tickable(&self.theme, item, several.is_ticked(index), is_at)
            });
            let room = self.room(painted.len() + below.len() + 1);
            painted.extend(window(lines.collect(), several.at(), room, self.look));
            painted.extend(below);
            self.paint_with_line(painted, several.line())?;
            match self.key(title)? {
                Key::EndOfInput if !several.line().is_empty() => {}
                Key::EndOfInput => return Err(self.stopped(title, Stop::Menu)),
                key => {
                    if let several::Step::Done(ticked, typed) = several.press(&key) {
                        match read(&ticked, &typed) {
                            Ok(value) => {
                                self.answered(title, &show(&value))?;
                                return Ok(value);
                            }
                            Err(why) => {
                                wrong = Some(why);
                                several.resume(ticked);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Drops what was typed and not read yet.
    pub(super) fn forget_typed(&mut self) {
        self.keys.forget();
    }

    /// Waits for any key. One that was typed before says nothing of what is to be read now.
    pub(super) fn pause(&mut self, text: &str) -> Answer<()> {
        self.keys.forget();
        let painted = self.theme.hint_style.apply_to(text).to_string();
        loop {
            self.paint(std::slice::from_ref(&painted), text.width())?;
            if self.keys.next()? != Key::Resized {
                return self.erase();
            }
        }
    }

    fn key(&mut self, title: &str) -> Answer<Key> {
        let key = self.keys.next()?;
        self.heeded(title, key)
    }

    fn key_within(&mut self, title: &str, limit: PollTimeout) -> Answer<Option<Key>> {
        let key = self.keys.next_within(limit)?;
        key.map(|key| self.heeded(title, key)).transpose()
    }

    fn heeded(&mut self, title: &str, key: Key) -> Answer<Key> {
        match key {
            Key::Interrupt => Err(self.stopped(title, Stop::Menu)),
            Key::Escape => Err(self.stopped(title, Stop::Back)),
            key => Ok(key),
        }
    }

    /// Leaves a question without an answer.
    fn stopped(&mut self, title: &str, stop: Stop) -> Stop {
        let title = self.theme.hint_style.apply_to(title);
        match self.finish(&[format!("{} {title}", self.theme.error_prefix)]) {
            Ok(()) => stop,
            Err(gone) => gone,
        }
    }

    fn answered(&mut self, title: &str, answer: &str) -> Answer<()> {
        let title = title.trim_end_matches(['?', '？', ':', '：']);
        self.finish(&[theme::answer(&self.theme, title, answer)])
    }

    fn head(&self, title: &str, hint: Option<&str>, wrong: Option<&str>) -> Vec<String> {
        let (mut above, below) = self.around(title, hint, wrong);
        above.extend(below);
        above
    }

    /// Returns the lines above what is chosen from, and those below it.
    fn around(
        &self,
        title: &str,
        hint: Option<&str>,
        wrong: Option<&str>,
    ) -> (Vec<String>, Vec<String>) {
        let width = size().columns.saturating_sub(3);
        let painted = |text: &str, style: &Style| {
            let lines = wrap(text, width).into_iter();
            let lines = lines.map(|line| style.apply_to(line).to_string());
            lines.collect::<Vec<_>>()
        };
        let mut above = painted(title, &self.theme.prompt_style);
        above.extend(
            hint.map(|hint| painted(hint, &self.theme.hint_style))
                .unwrap_or_default(),
        );
        let below = wrong.map(|wrong| {
            let mut lines = wrap(wrong, width);
            // What somebody pasted may be quoted in it.
            lines.truncate(MOST_OF_AN_ERROR);
            theme::error(&self.theme, &lines)
        });
        let below = below.unwrap_or_default();
        (above, below)
    }

    /// Returns entries as lines, `columns` of them in each.
    fn grid(&self, entries: &[Entry], columns: usize, at: Option<usize>) -> Vec<String> {
        let columns = columns.max(1);
        let shown = super::lines(entries, self.look);
        let widest = shown.iter().map(|entry| entry.width()).max().unwrap_or(0);
        let cell = |(index, entry): (usize, &String)| {
            let is_last = (index + 1) % columns == 0;
            let text = if columns > 1 && !is_last {
                fit(entry, widest, self.look)
            } else {
                entry.clone()
            };
            theme::item(&self.theme, &text, at == Some(index))
        };
        let cells: Vec<String> = shown.iter().enumerate().map(cell).collect();
        cells.chunks(columns).map(|line| line.join(" ")).collect()
    }

    /// Returns how many lines are left beside `taken`.
    fn room(&self, taken: usize) -> usize {
        size().rows.saturating_sub(taken).max(3)
    }

    fn paint_with_line(&mut self, mut above: Vec<String>, line: &Line) -> Answer<()> {
        let mark = theme::line(&self.theme);
        let (text, cursor) = line.window(size().columns.saturating_sub(4));
        let begin = console::measure_text_width(&mark);
        let text = if line.is_refused() {
            Style::new()
                .force_styling(true)
                .reverse()
                .apply_to(text)
                .to_string()
        } else {
            text
        };
        above.push(mark + &text);
        self.paint(&above, begin + cursor)
    }

    /// Paints `lines` over those of before; the cursor is in the last one.
    fn paint(&mut self, lines: &[String], cursor: usize) -> Answer<()> {
        let width = size().columns.saturating_sub(1).max(1);
        let mut text = self.erasure();
        let mut widths = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let line = console::truncate_str(line, width, self.look.sign("…", "~"));
            widths.push(console::measure_text_width(&line));
            if index > 0 {
                text.push_str("\r\n");
            }
            text.push_str(&line);
        }
        text.push('\r');
        if cursor > 0 {
            text.push_str(&format!("\x1b[{}C", cursor.min(width)));
        }
        self.painted = Painted {
            row: widths.len().saturating_sub(1),
            widths,
        };
        write(&text)
    }

    fn erase(&mut self) -> Answer<()> {
        let text = self.erasure();
        self.painted = Painted::default();
        write(&text)
    }

    /// Paints `lines` a last time, to stay.
    fn finish(&mut self, lines: &[String]) -> Answer<()> {
        let mut text = self.erasure();
        self.painted = Painted::default();
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        write(&text)
    }

    /// Returns what takes the cursor to the first line of what was painted, and clears from there.
    fn erasure(&self) -> String {
        // A terminal that has become narrower shows a line as several.
        let width = size().columns.max(1);
        let above = self.painted.widths.iter().take(self.painted.row);
        let rows: usize = above.map(|of| of.div_ceil(width).max(1)).sum();
        match rows {
            0 => "\r\x1b[J".to_owned(),
            rows => format!("\r\x1b[{rows}A\x1b[J"),
        }
    }
}

/// Returns at most `room` lines, among them the one at `at`.
fn window(lines: Vec<String>, at: usize, room: usize, look: Look) -> Vec<String> {
    if lines.len() <= room {
        return lines;
    }
    let shown = room.saturating_sub(1).max(1);
    let begin = at.saturating_sub(shown / 2).min(lines.len() - shown);
    let (first, last, all) = (begin + 1, begin + shown, lines.len());
    let mut window: Vec<String> = lines.into_iter().skip(begin).take(shown).collect();
    let more = tr!(
        "  ({first}-{last} of {all}, arrows for more)",
        "  （第 {first}-{last} 项，共 {all} 项，方向键翻看）"
    );
    window.push(look.paint(&more, Paint::Dim));
    window
}

fn write(text: &str) -> Answer<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}
