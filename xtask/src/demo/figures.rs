//! What was expected and what was found.

use anyhow::{Result, ensure};

use super::screen::{Screen, Style};

/// All figures of a run, in the order in which they were compared.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Figure>);

/// One of them.
#[derive(Debug)]
pub(super) struct Figure {
    what: String,
    expected: String,
    found: String,
    agrees: bool,
    key: bool,
}

impl Figures {
    /// Compares a figure that must be met exactly.
    pub(super) fn equal(
        &mut self,
        what: impl Into<String>,
        expected: u64,
        found: u64,
    ) -> &mut Figure {
        self.push(what, grouped(expected), grouped(found), expected == found)
    }

    /// Compares a figure that must stay below a bound.
    pub(super) fn below(&mut self, what: impl Into<String>, bound: u64, found: u64) -> &mut Figure {
        let expected = format!("< {}", grouped(bound));
        self.push(what, expected, grouped(found), found < bound)
    }

    /// Compares a figure that must reach a bound.
    pub(super) fn at_least(
        &mut self,
        what: impl Into<String>,
        bound: u64,
        found: u64,
    ) -> &mut Figure {
        let expected = format!(">= {}", grouped(bound));
        self.push(what, expected, grouped(found), found >= bound)
    }

    /// Compares a speed that must be met as well as a busy machine meets it: at least two thirds, at most a tenth more.
    pub(super) fn about(
        &mut self,
        what: impl Into<String>,
        expected: u64,
        found: u64,
    ) -> &mut Figure {
        let agrees = (expected * 2 / 3..=expected * 11 / 10).contains(&found);
        let expected = format!("~ {}", grouped(expected));
        self.push(what, expected, grouped(found), agrees)
    }

    /// Compares words.
    pub(super) fn same(
        &mut self,
        what: impl Into<String>,
        expected: &str,
        found: &str,
    ) -> &mut Figure {
        let agrees = expected == found;
        self.push(what, expected.to_owned(), found.to_owned(), agrees)
    }

    /// Returns how many there are, to mark where an act begins.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Prints the figures from number `first` on.
    pub(super) fn print(&self, screen: &Screen, first: usize) {
        print(screen, self.0.iter().skip(first));
    }

    /// Prints the key figures and those that are off, and the verdict.
    ///
    /// # Errors
    ///
    /// Names the figures that are off.
    pub(super) fn verdict(&self, screen: &Screen) -> Result<()> {
        print(
            screen,
            self.0.iter().filter(|figure| figure.key || !figure.agrees),
        );
        let off: Vec<&str> = self
            .0
            .iter()
            .filter(|figure| !figure.agrees)
            .map(|figure| figure.what.as_str())
            .collect();
        ensure!(
            off.is_empty(),
            "{} of {} figures are off: {}",
            off.len(),
            self.0.len(),
            off.join("; ")
        );
        let text = format!(
            "All figures agree: these and {} more.",
            self.0.iter().filter(|figure| !figure.key).count()
        );
        println!();
        screen.say(&screen.styled(Style::Good, &text));
        Ok(())
    }

    fn push(
        &mut self,
        what: impl Into<String>,
        expected: String,
        found: String,
        agrees: bool,
    ) -> &mut Figure {
        let figure = Figure {
            what: what.into(),
            expected,
            found,
            agrees,
            key: false,
        };
        self.0.push_mut(figure)
    }
}

impl Figure {
    /// Shows it in the last table too.
    pub(super) fn key(&mut self) {
        self.key = true;
    }
}

fn print<'a>(screen: &Screen, figures: impl Iterator<Item = &'a Figure>) {
    let heading = format!("   {:<42}{:>16}{:>16}", "bytes", "expected", "found");
    println!("{}", screen.styled(Style::Dim, &heading));
    for figure in figures {
        let mark = if figure.agrees {
            screen.styled(Style::Good, "ok")
        } else {
            screen.styled(Style::Bad, "OFF")
        };
        println!(
            "   {:<42}{:>16}{:>16} {mark}",
            figure.what, figure.expected, figure.found
        );
    }
}

/// Writes a number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let written = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(written, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_speed_may_be_low_on_a_busy_machine_and_never_high() {
        let mut figures = Figures::default();
        for found in [600, 900, 990] {
            figures.about("as it may be", 900, found);
        }
        for found in [599, 991] {
            figures.about("as it may not be", 900, found);
        }
        let agrees: Vec<bool> = figures.0.iter().map(|figure| figure.agrees).collect();
        assert_eq!(agrees, [true, true, true, false, false]);
    }

    #[test]
    fn one_figure_that_is_off_is_named() {
        let mut figures = Figures::default();
        figures.equal("bytes in", 5, 5);
        figures.below("short by", 5, 5);
        let screen = Screen::new();
        let verdict = figures.verdict(&screen).unwrap_err().to_string();
        assert_eq!(verdict, "1 of 2 figures are off: short by");
    }
}
