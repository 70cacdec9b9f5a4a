//! Offline search over the official list of communes and countries: where people are born and where they live.
//!
//! Typed as people type: without accents or hyphens, "st" for "Saint", a postal code, or the middle of a name. The
//! table is `data/places.tsv` (made by `data/make.py`), largest first; its index is built at the first search.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::identity::{CogCode, Place};
use crate::private::Private;

/// To show where the list is searched or credits are given (the licence asks for it).
pub const ATTRIBUTION: &str = "Insee COG 2026, La Poste, DGCL – Licence Ouverte 2.0";

/// Longest query looked at, characters; no name of a commune is longer than 45.
pub const QUERY_CHARS_MAX: usize = 60;

/// Most results of one search.
pub const RESULTS_MAX: usize = 50;

static PLACES: &str = include_str!("data/places.tsv");

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A commune of today.
    Commune,
    /// A municipal arrondissement of Paris, Lyon or Marseille.
    Arrondissement,
    /// A commune that merged into another one; people were born there.
    FormerCommune,
    /// A country or territory, by its code 99xxx.
    Country,
}

/// Which places are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Where one may be born: everything.
    BirthPlaces,
    /// Where one may live in France: communes of today and arrondissements.
    Towns,
}

/// A place found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Official code.
    pub cog: CogCode,
    /// Official name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Postal codes separated by spaces; empty for a country.
    pub postal_codes: &'static str,
    /// Inhabitants; 0 for a former commune. For a country only a rank.
    pub population: u32,
}

impl Found {
    /// As a patient's place, with the name in custody.
    pub fn to_place(&self) -> Place {
        Place { cog: self.cog, name: Private::new(self.name.to_owned()) }
    }

    /// Number of the département: `75`, `2A`, `974`; 99 for a country.
    pub fn departement(&self) -> &str {
        let code = self.cog.as_str();
        if code.starts_with("97") || code.starts_with("98") { &code[..3] } else { &code[..2] }
    }
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What a patient looks for is the patient's.
        f.write_str("Found([patient])")
    }
}

/// A row of the table with what the search needs.
struct Row {
    found: Found,
    /// The name and each other name, folded, each with a space before every word: ` SAINT ETIENNE`.
    folded: String,
}

struct Index {
    rows: Vec<Row>,
    /// Each start of a word in a folded name: row and byte of the letter, in the order of the text that follows.
    words: Vec<(u32, u16)>,
    /// Each postal code and its row, in order.
    postal: Vec<(&'static str, u32)>,
    /// First row of each code.
    codes: BTreeMap<CogCode, u32>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(build)
}

/// Builds the index now, about a tenth of a second, rather than at the patient's first letter.
pub fn prepare() {
    index();
}

/// The place of a code.
pub fn by_code(cog: CogCode) -> Option<Found> {
    let index = index();
    index.codes.get(&cog).and_then(|row| index.rows.get(*row as usize)).map(|row| row.found)
}

/// The best places for what was typed so far: the exact name first, then names that start so, then names with these
/// words in them, each from the largest to the smallest. Nothing for an empty query.
pub fn search(query: &str, scope: Scope, results: usize) -> Vec<Found> {
    let results = results.min(RESULTS_MAX);
    let query: String = query.chars().take(QUERY_CHARS_MAX).collect();
    let digits: String = query.chars().filter(|c| !c.is_whitespace()).collect();
    let found = if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        by_postal_code(&digits, scope)
    } else {
        by_name(&fold(&query), scope)
    };
    found.into_iter().take(results).collect()
}

/// Scope of a row's kind.
fn is_in(scope: Scope, kind: Kind) -> bool {
    match scope {
        Scope::BirthPlaces => true,
        Scope::Towns => matches!(kind, Kind::Commune | Kind::Arrondissement),
    }
}

fn by_postal_code(digits: &str, scope: Scope) -> Vec<Found> {
    let index = index();
    let start = index.postal.partition_point(|(code, _)| *code < digits);
    let mut rows: Vec<u32> =
        index.postal[start..].iter().take_while(|(code, _)| code.starts_with(digits)).map(|(_, row)| *row).collect();
    // Rows are in order of size.
    rows.sort_unstable();
    rows.dedup();
    rows.into_iter().map(|row| index.rows[row as usize].found).filter(|found| is_in(scope, found.kind)).collect()
}

fn by_name(query: &str, scope: Scope) -> Vec<Found> {
    let index = index();
    let words: Vec<&str> = query.split_whitespace().collect();
    // The longest word leaves the fewest rows to look at.
    let Some(longest) = words.iter().max_by_key(|word| word.len()).copied() else { return Vec::new() };
    let start = index.words.partition_point(|at| text_at(&index.rows, *at) < longest);
    let mut ranked: Vec<(u8, u32)> = Vec::new();
    for at in &index.words[start..] {
        if !text_at(&index.rows, *at).starts_with(longest) {
            break;
        }
        let row = &index.rows[at.0 as usize];
        if is_in(scope, row.found.kind)
            && let Some(rank) = rank(&row.folded, query, &words)
        {
            ranked.push((rank, at.0));
        }
    }
    // A name with the word twice comes twice, at the same rank.
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().map(|(_, row)| index.rows[row as usize].found).collect()
}

/// 0: this is the name; 1: a name starts so; 2: these words, in this order and together; 3: these words; `None`: not.
fn rank(folded: &str, query: &str, words: &[&str]) -> Option<u8> {
    // Names are separated by a line feed.
    if folded.split('\n').any(|name| name.trim_start() == query) {
        return Some(0);
    }
    if folded.split('\n').any(|name| name.trim_start().starts_with(query)) {
        return Some(1);
    }
    let has = |text: &str| folded.match_indices(text).any(|(at, _)| folded[..at].ends_with([' ', '\n']));
    if has(query) {
        return Some(2);
    }
    words.iter().all(|word| has(word)).then_some(3)
}

fn text_at(rows: &[Row], (row, byte): (u32, u16)) -> &str {
    &rows[row as usize].folded[usize::from(byte)..]
}

/// Upper case without accents; hyphens, apostrophes and other signs are spaces; ST and STE written out; one space
/// between words, none at the ends.
fn fold(text: &str) -> String {
    let mut letters = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match crate::identity::fold_letter(c) {
            Some(part) if part.bytes().all(|b| b.is_ascii_uppercase()) => letters.push_str(part),
            _ if c.is_ascii_digit() => letters.push(c),
            // "s/" is how signs write "sur".
            _ if c == '/' && letters.ends_with(" S") => letters.push_str("UR "),
            _ => letters.push(' '),
        }
    }
    let mut out = String::with_capacity(letters.len() + 8);
    for word in letters.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(match word {
            "ST" => "SAINT",
            "STE" => "SAINTE",
            word => word,
        });
    }
    out
}

fn build() -> Index {
    let mut rows = Vec::with_capacity(38_000);
    let mut postal = Vec::with_capacity(42_000);
    let mut codes = BTreeMap::new();
    for (number, line) in PLACES.lines().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let Some((found, others)) = parse(line) else { continue };
        let mut folded = format!(" {}", fold(found.name));
        for other in others.split('|').filter(|other| !other.is_empty()) {
            folded.push('\n');
            folded.push_str(&fold(other));
        }
        postal.extend(found.postal_codes.split_whitespace().map(|code| (code, number)));
        codes.entry(found.cog).or_insert(number);
        rows.push(Row { found, folded });
    }
    let mut words: Vec<(u32, u16)> = Vec::with_capacity(100_000);
    for (number, row) in (0u32..).zip(&rows) {
        let bytes = row.folded.as_bytes();
        let starts = (1..bytes.len()).filter(|at| bytes[*at] > b' ' && bytes[at - 1] <= b' ');
        words.extend(starts.filter_map(|at| Some((number, u16::try_from(at).ok()?))));
    }
    words.sort_unstable_by(|a, b| text_at(&rows, *a).cmp(text_at(&rows, *b)));
    postal.sort_unstable();
    Index { rows, words, postal, codes }
}

fn parse(line: &'static str) -> Option<(Found, &'static str)> {
    let mut columns = line.split('\t');
    let cog = CogCode::parse(columns.next()?)?;
    let kind = match columns.next()? {
        "C" => Kind::Commune,
        "A" => Kind::Arrondissement,
        "F" => Kind::FormerCommune,
        "P" => Kind::Country,
        _ => return None,
    };
    let population = columns.next()?.parse().ok()?;
    let (postal_codes, name, others) = (columns.next()?, columns.next()?, columns.next()?);
    Some((Found { cog, name, kind, postal_codes, population }, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(query: &str) -> (&'static str, String) {
        let found = search(query, Scope::BirthPlaces, 1);
        let found = found.first().unwrap_or_else(|| panic!("nothing for {query}"));
        (found.name, found.cog.as_str().to_owned())
    }

    #[test]
    fn people_find_their_town_as_they_type_it() {
        for (query, name, code) in [
            ("paris", "Paris", "75056"),
            ("PARIS 13", "Paris 13e Arrondissement", "75113"),
            ("st etienne", "Saint-Étienne", "42218"),
            ("Saint-Étienne", "Saint-Étienne", "42218"),
            ("ste foy les lyon", "Sainte-Foy-lès-Lyon", "69202"),
            ("l'hay les roses", "L'Haÿ-les-Roses", "94038"),
            ("rochelle", "La Rochelle", "17300"),
            ("aix provence", "Aix-en-Provence", "13001"),
            ("Chalon s/ Saone", "Chalon-sur-Saône", "71076"),
            ("ajaccio", "Ajaccio", "2A004"),
            ("brie comte", "Brie-Comte-Robert", "77053"),
            ("algerie", "Algérie", "99352"),
            ("cote d ivoire", "Côte d'Ivoire", "99326"),
            ("hollande", "Pays-Bas", "99135"),
            ("germany", "Allemagne", "99109"),
            ("saint denis", "Saint-Denis", "97411"),
        ] {
            assert_eq!(first(query), (name, code.to_owned()), "{query}");
        }
        assert_eq!(first("oeuilly").0, "Œuilly");
    }

    #[test]
    fn a_postal_code_gives_its_communes_the_largest_first() {
        let found = search("77 170", Scope::Towns, 10);
        assert_eq!(found[0].name, "Brie-Comte-Robert");
        assert!(found.len() > 1 && found.iter().all(|f| f.postal_codes.contains("77170")));
        assert!(found.is_sorted_by_key(|f| u32::MAX - f.population));
        assert!(search("99999", Scope::Towns, 10).is_empty());
    }

    #[test]
    fn one_is_born_anywhere_and_lives_in_a_town_of_today() {
        let born = search("Châtillon-en-Michaille", Scope::BirthPlaces, 5);
        assert_eq!((born[0].kind, born[0].cog.as_str()), (Kind::FormerCommune, "01091"));
        assert!(search("Châtillon-en-Michaille", Scope::Towns, 5).is_empty());
        assert!(search("maroc", Scope::Towns, 5).iter().all(|f| f.kind != Kind::Country));
        assert_eq!(first("maroc").1, "99350");
    }

    #[test]
    fn every_row_of_the_table_is_read_and_found_by_its_code() {
        let rows = &index().rows;
        assert_eq!(rows.len(), PLACES.lines().count());
        let count = |kind| rows.iter().filter(|row| row.found.kind == kind).count();
        assert_eq!((count(Kind::Commune), count(Kind::Arrondissement)), (34_969, 45));
        assert!(count(Kind::Country) > 200);
        for row in rows {
            assert_eq!(row.found.kind == Kind::Country, row.found.cog.is_country());
            assert_eq!(by_code(row.found.cog).unwrap().cog, row.found.cog);
        }
        assert!(rows.is_sorted_by_key(|row| u32::MAX - row.found.population));
        assert!(PLACES.len() < 2_000_000, "the table stays small");
        assert_eq!(by_code(CogCode::parse("97411").unwrap()).unwrap().departement(), "974");
        assert!(by_code(CogCode::parse("00000").unwrap()).is_none());
    }

    #[test]
    fn nonsense_finds_nothing_and_harms_nothing() {
        let long = "a".repeat(10_000);
        for query in ["", " ", "-", "''", "zzzzqq", "é\u{301}\u{0}", long.as_str(), "日本", "12a", "000000000"] {
            assert!(search(query, Scope::BirthPlaces, 10).len() <= 10);
        }
        assert!(search("", Scope::BirthPlaces, 10).is_empty() && search("zzzzqq", Scope::Towns, 10).is_empty());
        assert_eq!(search("s", Scope::Towns, usize::MAX).len(), RESULTS_MAX);
    }

    #[test]
    fn the_first_letters_of_a_name_find_something() {
        prepare();
        for query in ["s", "sa", "saint", "saint m", "paris", "st jean de", "les", "la r", "750", "aix provence"] {
            assert!(!search(query, Scope::BirthPlaces, 8).is_empty(), "{query}");
        }
    }
}
