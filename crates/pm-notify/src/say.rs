//! Texts in both languages, side by side.

/// Returns a text in a language; what follows each is as for `format!`. A text that lacks a language
/// does not compile.
macro_rules! say {
    ($language:expr; en: $en:literal $(, $en_arg:expr)*; zh: $zh:literal $(, $zh_arg:expr)* $(;)?) => {
        match $language {
            ::pm_core::language::Language::English => format!($en $(, $en_arg)*),
            ::pm_core::language::Language::Chinese => format!($zh $(, $zh_arg)*),
        }
    };
    ($language:expr; $en:literal, $zh:literal $(,)?) => {
        match $language {
            ::pm_core::language::Language::English => format!($en),
            ::pm_core::language::Language::Chinese => format!($zh),
        }
    };
}

pub(crate) use say;
