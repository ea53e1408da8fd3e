//! The language of `msg`, from the `language` header.

use http::HeaderMap;

/// A language that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English (United States), the default.
    #[default]
    EnUs,
    /// Simplified Chinese.
    ZhCn,
}

impl Language {
    /// The language a request asks for. Any case, `_` or `-`; whatever is
    /// absent, unreadable or unknown is English, never an error (`api.md`).
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let primary = headers
            .get("language")
            .and_then(|value| value.to_str().ok())
            .and_then(|tag| tag.trim().split(['-', '_']).next());
        match primary {
            Some(tag) if tag.eq_ignore_ascii_case("zh") => Self::ZhCn,
            _ => Self::EnUs,
        }
    }

    /// The BCP 47 tag, as stored with a task (`locale`).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        self.pick("en-US", "zh-CN")
    }

    /// The text of this language.
    #[must_use]
    pub const fn pick(self, en: &'static str, zh: &'static str) -> &'static str {
        match self {
            Self::EnUs => en,
            Self::ZhCn => zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tag: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert("language", tag.parse().unwrap());
        Language::of(&headers)
    }

    #[test]
    fn any_spelling_of_chinese_is_chinese() {
        for tag in ["zh-CN", "zh_cn", "ZH", "zh", " zh-Hans-CN"] {
            assert_eq!(of(tag), Language::ZhCn, "{tag}");
        }
    }

    #[test]
    fn unknown_and_absent_are_english() {
        for tag in ["en-US", "fr", "zhx", "-", ""] {
            assert_eq!(of(tag), Language::EnUs, "{tag}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::EnUs);
    }
}
