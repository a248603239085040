//! The text of an index: sections of `field=value` and `field[of]=value`, where a line that begins with a blank goes on
//! with the one before. Pure.
//!
//! There are libraries for files of this kind, and none that reads both of the latter.

use image_service::Result;

use crate::published::refused;

/// Longer values are refused.
const LONGEST_VALUE: usize = 65_535;

/// The most fields of one section: there are notes in many languages, and no image has more properties than 128.
const MOST_FIELDS: usize = 100;

/// One section.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section<'t> {
    /// What stands in its brackets.
    pub(super) name: &'t str,
    fields: Vec<Field<'t>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Field<'t> {
    name: &'t str,
    of: Option<&'t str>,
    value: String,
}

impl<'t> Section<'t> {
    /// The value of `name`, or of `name[of]`.
    pub(super) fn get(&self, name: &str, of: Option<&str>) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name && field.of == of)?;
        Some(field.value.as_str())
    }

    /// All fields without brackets.
    pub(super) fn plain(&self) -> impl Iterator<Item = (&'t str, &str)> {
        self.fields.iter().filter(|field| field.of.is_none()).map(|field| (field.name, field.value.as_str()))
    }
}

/// All sections of an index.
///
/// # Errors
/// With the number of the first line that is none of an index.
pub(super) fn sections(text: &str) -> Result<Vec<Section<'_>>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: &str| refused(format_args!("line {} of the index {why}", number + 1));
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.trim_end().strip_suffix(']').filter(|name| is_word(name));
            sections
                .push(Section { name: name.ok_or_else(|| wrong("begins no section"))?, fields: Vec::new() });
            continue;
        }
        let fields = &mut sections.last_mut().ok_or_else(|| wrong("is in no section"))?.fields;
        if line.starts_with([' ', '\t']) {
            let field = fields.last_mut().ok_or_else(|| wrong("goes on with nothing"))?;
            field.value.push('\n');
            field.value.push_str(line.trim());
            if field.value.len() > LONGEST_VALUE {
                return Err(wrong("makes a text too long"));
            }
            continue;
        }
        let field = field(line).ok_or_else(|| wrong("is no field"))?;
        if fields.iter().any(|known| known.name == field.name && known.of == field.of) {
            return Err(wrong("says a second time what a field is"));
        }
        if fields.len() >= MOST_FIELDS {
            return Err(wrong("is one field too many"));
        }
        fields.push(field);
    }
    Ok(sections)
}

fn field(line: &str) -> Option<Field<'_>> {
    let (left, value) = line.split_once('=')?;
    let (name, of) = match left.trim().split_once('[') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
        None => (left.trim(), None),
    };
    let sound = is_word(name) && of.is_none_or(is_word) && value.len() <= LONGEST_VALUE;
    sound.then(|| Field { name, of, value: value.trim().to_owned() })
}

fn is_word(text: &str) -> bool {
    let is_of_word =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b',' | b'@' | b'+');
    !text.is_empty() && text.len() <= 200 && text.bytes().all(is_of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_fields_which_may_go_on() {
        let text = "# comment\n\n[fedora-39]\nname=Fedora® 39\nchecksum[sha512]=ab\nnotes=one\n two\n\tthree=3\nnotes[de]=eins\n\
                    \n[debian-12]\r\nfile = d.xz \r\n";
        let sections = sections(text).unwrap();
        let [fedora, debian] = &sections[..] else { panic!("{sections:?}") };
        assert_eq!((fedora.name, debian.name), ("fedora-39", "debian-12"));
        assert_eq!(fedora.get("checksum", Some("sha512")), Some("ab"));
        assert_eq!(fedora.get("checksum", None), None);
        assert_eq!(fedora.get("notes", None), Some("one\ntwo\nthree=3"));
        assert_eq!(
            fedora.plain().collect::<Vec<_>>(),
            [("name", "Fedora® 39"), ("notes", "one\ntwo\nthree=3")]
        );
        assert_eq!(debian.get("file", None), Some("d.xz"));
    }

    #[test]
    fn what_is_no_index_is_refused_with_its_line() {
        for (text, line) in [
            ("name=x", 1),
            ("[a]\n[b", 2),
            ("[]\n", 1),
            ("[a b]\n", 1),
            ("[a]\n goes on", 2),
            ("[a]\nx\n", 2),
            ("[a]\nx=1\ny[=2\n", 3),
            ("[a]\nx=1\nx=2\n", 3),
            ("<html>", 1),
        ] {
            let error = sections(text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line} ")), "{text:?}: {error}");
        }
        let many: String = (0..=MOST_FIELDS).map(|number| format!("f{number}=\n")).collect();
        assert!(sections(&format!("[a]\n{many}")).is_err());
        let long = "x".repeat(LONGEST_VALUE);
        assert!(sections(&format!("[a]\nx={long}\n y\n")).is_err());
        assert!(sections("").unwrap().is_empty());
    }
}
