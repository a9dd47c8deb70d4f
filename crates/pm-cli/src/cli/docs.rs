//! The documentation against the command line: what it says to type is understood, and both
//! languages say to type the same.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::Cli;
use super::tests::shell;

const CHINESE: &str = ".zh-CN.md";

/// Returns the README and all files in `docs/`, of one language.
fn documents(chinese: bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = if chinese {
        "README.zh-CN.md"
    } else {
        "README.md"
    };
    let mut documents = vec![root.join(readme)];
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".md") && name.ends_with(CHINESE) == chinese {
            documents.push(path);
        }
    }
    documents.sort();
    documents
}

/// Returns the document that says the same in Chinese.
fn twin(document: &Path) -> PathBuf {
    let name = document.file_stem().unwrap().to_str().unwrap();
    document.with_file_name(format!("{name}{CHINESE}"))
}

/// What must be the same in both languages.
#[derive(Debug, Default, Eq, PartialEq)]
struct Outline {
    /// How deep each heading is.
    headings: Vec<usize>,
    /// The lines of all blocks of shell code, without comments and empty ones.
    code: Vec<String>,
}

fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut language = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(name), None) => language = Some(name),
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) => {
                let code = until(line, |c, at_word| c == '#' && at_word).trim();
                if !code.is_empty() {
                    outline.code.push(code.to_owned());
                }
            }
            (None, Some(_)) => {}
            (None, None) => {
                let depth = line.bytes().take_while(|&byte| byte == b'#').count();
                if depth > 0 {
                    outline.headings.push(depth);
                }
            }
        }
    }
    outline
}

/// Returns a line up to the first character outside of quotes at which it ends. `ends` is told,
/// too, whether a word could begin there.
fn until(line: &str, ends: impl Fn(char, bool) -> bool) -> &str {
    let mut quote = None;
    let mut at_word = true;
    for (index, c) in line.char_indices() {
        match quote {
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if ends(c, at_word) => return &line[..index],
            None => {}
        }
        at_word = c.is_whitespace();
    }
    line
}

/// Returns the words of a line of code that runs pm; `None`: it runs something else, or what the
/// words are depends on the shell.
fn pm(line: &str) -> Option<Vec<String>> {
    let line = line.strip_prefix("sudo ").unwrap_or(line);
    if line != "pm" && !line.starts_with("pm ") {
        return None;
    }
    let command = until(line, |c, _| matches!(c, '|' | '>' | '&' | ';'));
    (!command.contains('$')).then(|| shell(command))
}

#[test]
fn what_the_documentation_says_to_type_is_understood() {
    let mut tried = 0;
    for document in [documents(false), documents(true)].concat() {
        let text = fs::read_to_string(&document).unwrap();
        for line in outline(&text).code {
            let Some(words) = pm(&line) else { continue };
            tried += 1;
            if let Err(error) = Cli::of(words.into_iter().map(Into::into)) {
                let shows = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
                assert!(
                    shows.contains(&error.kind()),
                    "{}: `{line}`: {error}",
                    document.display()
                );
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn both_languages_say_to_type_the_same() {
    let english = documents(false);
    let mut twins: Vec<_> = english.iter().map(|document| twin(document)).collect();
    twins.sort();
    assert_eq!(twins, documents(true));
    for document in english {
        let [english, chinese] = [document.clone(), twin(&document)]
            .map(|path| outline(&fs::read_to_string(path).unwrap()));
        let name = document.display();
        for (english, chinese) in english.code.iter().zip(&chinese.code) {
            assert_eq!(english, chinese, "{name}");
        }
        assert_eq!(english, chinese, "{name}");
    }
}

#[test]
fn code_is_told_from_what_is_around_it() {
    let text = "# a\n```sh\n# comment\npm list | jq '.a # b'   # that\n\ncurl x#y\n```\n\
                ```\npm lost\n# c\n```\n### b\n";
    let outline = outline(text);
    assert_eq!(outline.headings, [1, 3]);
    assert_eq!(outline.code, ["pm list | jq '.a # b'", "curl x#y"]);
    let pm = |line: &str| pm(line).map(|words| words.join(" "));
    assert_eq!(
        pm("sudo pm add 80 --note 'a | b' > x").as_deref(),
        Some("pm add 80 --note a | b")
    );
    assert_eq!(pm("pm list && pm lost").as_deref(), Some("pm list"));
    assert_eq!(pm("pm set 80 --used \"$(cat x)\""), None);
    assert_eq!(pm("pmx list"), None);
}
