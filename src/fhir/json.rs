//! JSON as FHIR needs it: members in the order written, decimals exactly as given, and nothing empty (FHIR R4,
//! "JSON": arrays, objects and strings are never empty). Floats do not exist here, so no figure can change on the way.

use std::fmt::Write;

/// A JSON value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// Left out of the object or list that holds it.
    Absent,
    Bool(bool),
    /// `units / 10^scale`, written without trailing zeros.
    Decimal {
        units: i64,
        scale: u32,
    },
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

/// An object, written as it will look.
macro_rules! object {
    ($($name:literal : $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$(($name, $crate::json::Json::from($value))),*])
    };
}
/// A list.
macro_rules! list {
    ($($value:expr),* $(,)?) => { $crate::json::Json::List(vec![$($crate::json::Json::from($value)),*]) };
}
pub(crate) use {list, object};

impl Json {
    /// `units / 10^scale` as an exact decimal.
    pub(crate) fn decimal(units: i64, scale: u32) -> Json {
        Json::Decimal { units, scale }
    }

    /// True of what FHIR does not let be written.
    fn is_empty(&self) -> bool {
        match self {
            Json::Absent => true,
            Json::Text(text) => text.is_empty(),
            Json::List(values) => values.iter().all(Json::is_empty),
            Json::Object(members) => members.iter().all(|(_, v)| v.is_empty()),
            Json::Bool(_) | Json::Decimal { .. } => false,
        }
    }

    /// The bytes of the value, without spaces.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(16 * 1024);
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            // Only reached at the top: everywhere else an empty value is left out.
            Json::Absent => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Decimal { units, scale } => write_decimal(*units, *scale, out),
            Json::Text(text) => write_text(text, out),
            Json::List(values) => {
                out.push('[');
                let mut first = true;
                for value in values.iter().filter(|v| !v.is_empty()) {
                    if !std::mem::take(&mut first) {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                let mut first = true;
                for (name, value) in members.iter().filter(|(_, v)| !v.is_empty()) {
                    if !std::mem::take(&mut first) {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_decimal(units: i64, scale: u32, out: &mut String) {
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let fraction = fraction.trim_end_matches('0');
    if units < 0 {
        out.push('-');
    }
    out.push_str(whole);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // FHIR strings hold no other control character; a space keeps the words apart.
            c if c.is_control() => out.push(' '),
            c => {
                let _ = out.write_char(c);
            }
        }
    }
    out.push('"');
}

impl From<&str> for Json {
    fn from(value: &str) -> Json {
        Json::Text(value.to_owned())
    }
}

impl From<&String> for Json {
    fn from(value: &String) -> Json {
        Json::Text(value.clone())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Json {
        Json::Text(value)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(value: Vec<Json>) -> Json {
        Json::List(value)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Absent, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &Json) -> String {
        String::from_utf8(json.to_bytes()).unwrap()
    }

    #[test]
    fn a_decimal_is_written_digit_for_digit() {
        for (units, scale, written) in [
            (3680, 2, "36.8"),
            (3600, 2, "36"),
            (3605, 2, "36.05"),
            (72_500, 3, "72.5"),
            (72_501, 3, "72.501"),
            (500, 3, "0.5"),
            (5, 3, "0.005"),
            (-5, 1, "-0.5"),
            (97, 0, "97"),
            (100, 0, "100"),
            (0, 2, "0"),
        ] {
            assert_eq!(text(&Json::decimal(units, scale)), written);
        }
    }

    #[test]
    fn nothing_empty_is_written() {
        let json =
            object! { "a": "", "b": list![], "c": list![object! { "d": None::<&str> }], "e": "x", "f": Json::Absent };
        assert_eq!(text(&json), r#"{"e":"x"}"#);
    }

    #[test]
    fn any_text_stays_json() {
        let hostile = "\"\\\u{0}\u{7f}\n\t\r\u{2028}é\u{1F600}</script>";
        let value: serde_json::Value = serde_json::from_str(&text(&Json::from(hostile))).unwrap();
        assert_eq!(value.as_str().unwrap(), "\"\\  \n\t\r\u{2028}é\u{1F600}</script>");
    }
}
