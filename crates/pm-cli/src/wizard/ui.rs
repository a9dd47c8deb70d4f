//! Questions and answers, on whichever terminal there is.
//!
//! - Escape leaves a question without an answer, Ctrl-C all of them, and so does Ctrl-D where nothing is typed:
//!   [`Stop::Back`], [`Stop::Menu`].
//! - A terminal that has gone ends everything: [`Stop::Gone`].
//! - Nothing else is known here: what an answer means, its question's `read` says.

mod choice;
pub(super) mod keys;
mod line;
pub(super) mod look;
mod plain;
mod rich;
mod several;
mod terminal;
mod theme;

use std::collections::BTreeSet;
use std::io;

use unicode_width::UnicodeWidthStr;

use crate::language::tr;
use crate::wizard::text;

use look::{Look, Paint, wrap};
use plain::Plain;
use rich::Rich;
use several::Several;
use terminal::{Guard, Setup};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// The user leaves the question.
    Back,
    /// The user leaves all questions.
    Menu,
    /// There is nothing left to talk about.
    Over,
    /// There is no user any more.
    Gone,
}

/// An answer, or why there is none.
pub(super) type Answer<T> = Result<T, Stop>;

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// A question that is answered by typing.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// What is asked.
    pub(super) title: String,
    /// What can be typed, and what Enter alone means.
    pub(super) hint: Option<String>,
    /// Whether what is typed is not shown.
    pub(super) is_hidden: bool,
}

/// Something that can be chosen.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What is typed to choose it.
    pub(super) number: usize,
    /// What it is.
    pub(super) text: String,
    /// How that is now, where it is a setting.
    pub(super) value: String,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What stands above a menu, on a screen of its own.
struct Above<'a> {
    paint: &'a dyn Fn() -> Answer<()>,
    turn: &'a dyn Fn(bool),
}

/// The terminal, as something to talk through.
pub(super) struct Ui {
    device: Device,
    look: Look,
}

enum Device {
    Rich(Box<Rich>),
    Plain(Plain),
}

impl Question {
    pub(super) fn new(title: String, hint: String) -> Self {
        Self {
            title,
            hint: Some(hint),
            is_hidden: false,
        }
    }

    /// Does not show what is typed.
    pub(super) fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }
}

impl Entry {
    pub(super) fn new(number: usize, text: String) -> Self {
        let value = String::new();
        Self {
            number,
            text,
            value,
        }
    }

    /// Adds how it is now.
    pub(super) fn now(mut self, value: String) -> Self {
        self.value = value;
        self
    }
}

/// Returns a line for each entry, the values among each other.
fn lines(entries: &[Entry], look: Look) -> Vec<String> {
    let has_value = |entry: &&Entry| !entry.value.is_empty();
    let names = entries.iter().filter(has_value);
    let widest = names.map(|entry| entry.text.width()).max().unwrap_or(0);
    let line = |entry: &Entry| {
        let Entry {
            number,
            text,
            value,
        } = entry;
        if value.is_empty() {
            return format!("{number:>2}. {text}");
        }
        format!("{number:>2}. {}  {value}", look::fit(text, widest, look))
    };
    entries.iter().map(line).collect()
}

impl Ui {
    /// Takes hold of the terminal until it goes.
    ///
    /// # Errors
    ///
    /// As the system says; nothing has changed.
    pub(super) fn on_terminal(look: Look) -> io::Result<Self> {
        let device = if look.rich {
            Device::Rich(Box::new(Rich::new(look, Guard::new(Setup::Keys)?)))
        } else {
            let guard = Guard::new(Setup::Lines)?;
            let input = Box::new(io::stdin().lock());
            Device::Plain(Plain::new(input, Box::new(io::stdout()), Some(guard)))
        };
        Ok(Self { device, look })
    }

    /// Talks through anything, line by line.
    #[cfg(test)]
    pub(super) fn scripted(
        input: impl io::Read + 'static,
        output: impl io::Write + 'static,
    ) -> Self {
        let input = Box::new(io::BufReader::new(input));
        Self {
            device: Device::Plain(Plain::new(input, Box::new(output), None)),
            look: Look { rich: false },
        }
    }

    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// Says something, however long.
    pub(super) fn say(&mut self, text: &str) -> Answer<()> {
        match &mut self.device {
            Device::Plain(plain) => plain.say(text),
            Device::Rich(_) => print(text),
        }
    }

    /// Says something beside the point, or something that is wrong.
    pub(super) fn note(&mut self, text: &str, paint: Paint) -> Answer<()> {
        let lines = match &self.device {
            Device::Plain(_) => vec![text.to_owned()],
            Device::Rich(_) => wrap(text, size().columns),
        };
        for line in lines {
            let line = self.look.paint(&line, paint);
            self.say(&line)?;
        }
        Ok(())
    }

    /// Says something that is copied as it stands, such as a command.
    pub(super) fn quote(&mut self, text: &str) -> Answer<()> {
        let text = self.look.paint(text, Paint::Dim);
        match &mut self.device {
            Device::Plain(plain) => plain.say(&text),
            Device::Rich(_) => {
                crate::output::to_stdout(format_args!("{text}")).map_err(|_| Stop::Gone)
            }
        }
    }

    /// Begins a new screen, where there are screens.
    pub(super) fn clear(&mut self) -> Answer<()> {
        match &mut self.device {
            Device::Plain(plain) => plain.say(""),
            Device::Rich(rich) => rich.clear(),
        }
    }

    /// Asks until `read` takes what is typed; `show` says how it was understood.
    pub(super) fn ask<T>(
        &mut self,
        question: &Question,
        read: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        match &mut self.device {
            Device::Plain(plain) => plain.ask(question, read, show),
            Device::Rich(rich) => rich.ask(question, read, show),
        }
    }

    /// Asks for yes or no.
    pub(super) fn confirm(&mut self, title: String, default: bool) -> Answer<bool> {
        let hint = if default {
            tr!("Y/n; Enter: yes", "Y/n；直接回车：是")
        } else {
            tr!("y/N; Enter: no", "y/N；直接回车：否")
        };
        let words = |yes: &bool| {
            if *yes {
                tr!("yes", "是")
            } else {
                tr!("no", "否")
            }
        };
        let read = |typed: &str| text::yes_or_no(typed, default);
        self.ask(&Question::new(title, hint), read, words)
    }

    /// Asks for one of `entries`, as many of them in a line as there is room for; `None`: Enter
    /// alone, or a minute without a key. Where the terminal changes its size, `paint` says again what
    /// stands above; `turn` turns its page, forward or back.
    pub(super) fn menu(
        &mut self,
        title: &str,
        hint: &str,
        entries: &[Entry],
        paint: &dyn Fn(usize) -> Answer<()>,
        turn: &dyn Fn(bool),
    ) -> Answer<Option<usize>> {
        let look = self.look;
        let columns = || menu_columns(entries, look);
        let paint = || paint(menu_rows(title, hint, entries, look));
        let above = Above {
            paint: &paint,
            turn,
        };
        match &mut self.device {
            Device::Plain(plain) => plain.choose(title, hint, entries, None),
            Device::Rich(rich) => rich.choose(title, hint, entries, None, columns, Some(&above)),
        }
    }

    /// Returns how many lines [`menu`](Self::menu) takes of a screen; none, where lines go by.
    pub(super) fn menu_rows(&self, title: &str, hint: &str, entries: &[Entry]) -> usize {
        match self.device {
            Device::Plain(_) => 0,
            Device::Rich(_) => menu_rows(title, hint, entries, self.look),
        }
    }

    /// Asks for one of `entries`; `None`: Enter alone, which means `enter`.
    pub(super) fn choose(
        &mut self,
        title: &str,
        enter: &str,
        entries: &[Entry],
    ) -> Answer<Option<usize>> {
        let hint = tr!("Enter: {enter}", "直接回车：{enter}");
        match &mut self.device {
            Device::Plain(plain) => plain.choose(title, &hint, entries, Some(enter)),
            Device::Rich(rich) => rich.choose(title, &hint, entries, Some(enter), || 1, None),
        }
    }

    /// Asks for any number of `items`, those at the indices `ticked` ticked already: the indices of
    /// those that are ticked and what was typed go to `read`.
    pub(super) fn several<T>(
        &mut self,
        title: &str,
        hint: &str,
        items: &[String],
        ticked: BTreeSet<usize>,
        read: impl Fn(&BTreeSet<usize>, &str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        match &mut self.device {
            Device::Plain(plain) => plain.several(title, hint, items, &ticked, read, show),
            Device::Rich(rich) => {
                let several = Several::ticked(items.len(), ticked);
                rich.several(title, hint, items, several, read, show)
            }
        }
    }

    /// Asks for one of `items`, or what is typed instead.
    pub(super) fn one<T>(
        &mut self,
        title: &str,
        hint: &str,
        items: &[String],
        read: impl Fn(&BTreeSet<usize>, &str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        match &mut self.device {
            Device::Plain(plain) => plain.several(title, hint, items, &BTreeSet::new(), read, show),
            Device::Rich(rich) => {
                rich.several(title, hint, items, Several::one_of(items.len()), read, show)
            }
        }
    }

    /// Whether things are ticked, not only typed.
    pub(super) fn ticks(&self) -> bool {
        matches!(self.device, Device::Rich(_))
    }

    /// Drops what was typed and not read yet.
    pub(super) fn forget_typed(&mut self) {
        match &mut self.device {
            Device::Plain(_) => {}
            Device::Rich(rich) => rich.forget_typed(),
        }
    }

    /// Leaves what was said on the screen until it was read.
    pub(super) fn pause(&mut self) -> Answer<()> {
        match &mut self.device {
            Device::Plain(_) => Ok(()),
            Device::Rich(rich) => rich.pause(&tr!("Any key: back to the menu", "按任意键返回菜单")),
        }
    }
}

/// Returns how many entries of a menu stand in a line.
fn menu_columns(entries: &[Entry], look: Look) -> usize {
    let lines = lines(entries, look);
    let widest = lines.iter().map(|line| line.width()).max().unwrap_or(0);
    // Beside each stands the pointer, and a space between two.
    (size().columns / (widest + 3)).clamp(1, 4)
}

fn menu_rows(title: &str, hint: &str, entries: &[Entry], look: Look) -> usize {
    let width = size().columns.saturating_sub(3);
    let words = wrap(title, width).len() + wrap(hint, width).len();
    // The last one is that which is typed in.
    words + entries.len().div_ceil(menu_columns(entries, look)) + 1
}

/// Prints something, no line wider than the terminal.
pub(super) fn print(text: &str) -> Answer<()> {
    let width = size().columns;
    let lines = |line: &str| match console::measure_text_width(line) <= width {
        true => vec![line.to_owned()],
        false => look::wrap_indented(line, width),
    };
    let text = text.lines().flat_map(lines).collect::<Vec<_>>().join("\n");
    crate::output::to_stdout(format_args!("{text}")).map_err(|_| Stop::Gone)
}

/// Returns the size of the terminal.
pub(super) fn size() -> Size {
    let (rows, columns) = console::Term::stdout().size_checked().unwrap_or((24, 80));
    let (rows, columns) = (rows.into(), columns.into());
    Size { rows, columns }
}

fn no_entry(typed: &str) -> String {
    let typed: String = typed.chars().take(20).collect();
    tr!(
        "there is no entry `{typed}`: type one of the numbers",
        "没有“{typed}”这一项：请输入列出的编号"
    )
}
