//! The patient's sheet as a PDF: large type, tagged for screen readers, PDF/A-1a so that it still opens in thirty
//! years. The same blocks always give the same bytes: no clock and no chance enter here.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use krilla::Document;
use krilla::SerializeSettings;
use krilla::color::rgb;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::tagging::{Artifact, ArtifactType, ContentTag, Identifier, Node, SpanTag, Tag, TagGroup, TagTree};
use krilla::text::{Font, TextDirection};
use skrifa::MetadataProvider;

/// A4, in points.
const PAGE_WIDTH: f32 = 595.28;
const PAGE_HEIGHT: f32 = 841.89;
const MARGIN: f32 = 54.0;
/// Below this line there is only the page number.
const BOTTOM: f32 = PAGE_HEIGHT - 72.0;
/// Where the second column of a row begins.
const COLUMN: f32 = MARGIN + 210.0;

/// Most pages of one sheet. What would be longer is refused rather than cut: half a report is worse than none.
/// What the physician writes is refused earlier, when it arrives (`super::received`), so that the rest always fits.
pub const PAGES_MAX: usize = 30;

static REGULAR: LazyLock<Face> =
    LazyLock::new(|| Face::new(include_bytes!("../../../ui/fonts/AtkinsonHyperlegibleNext-Regular.ttf")));
static BOLD: LazyLock<Face> =
    LazyLock::new(|| Face::new(include_bytes!("../../../ui/fonts/AtkinsonHyperlegibleNext-Bold.ttf")));

/// A piece of the sheet, in reading order.
#[derive(Clone, PartialEq, Eq)]
pub enum Block {
    /// The title, once.
    Title(String),
    /// Begins a part.
    Heading(String),
    /// Running text; line feeds are kept.
    Paragraph(String),
    /// A fact: its name, its value in bold, and a small line below (empty for none).
    Row {
        /// What it is.
        name: String,
        /// Its value, with the unit.
        value: String,
        /// Where it comes from.
        detail: String,
    },
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[patient]")
    }
}

/// What the file says of itself.
#[derive(Clone)]
pub struct About {
    /// Title in the window of a reader. It holds no name: it shows in lists of files.
    pub title: String,
    /// `fr` or `en`.
    pub language: &'static str,
    /// Year, month, day, hour and minute, local time.
    pub written_at: (u16, u8, u8, u8, u8),
    /// Local time less UTC, minutes.
    pub utc_offset_minutes: i16,
    /// Word before the page number.
    pub page: &'static str,
}

/// The sheet cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PdfFault {
    /// The text is too long for [`PAGES_MAX`] pages.
    #[error("the summary needs {pages} pages, more than {PAGES_MAX}: shorten it")]
    TooLong {
        /// Pages needed.
        pages: usize,
    },
    /// The PDF library refused, which is a bug of ours.
    #[error("the summary could not be written as PDF: {0}")]
    Refused(String),
}

/// How many A4 pages the blocks take.
pub fn pages(blocks: &[Block]) -> usize {
    lay_out(blocks).len()
}

/// Draws the blocks on A4 pages.
pub fn render(blocks: &[Block], about: &About) -> Result<Vec<u8>, PdfFault> {
    let pages = lay_out(blocks);
    if pages.len() > PAGES_MAX {
        return Err(PdfFault::TooLong { pages: pages.len() });
    }
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A1_A)
        .finish()
        .map_err(|e| PdfFault::Refused(format!("{e:?}")))?;
    let mut document = Document::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let (year, month, day, hour, minute) = about.written_at;
    let offset = about.utc_offset_minutes;
    let written_at = DateTime::new(year)
        .month(month)
        .day(day)
        .hour(hour)
        .minute(minute)
        .second(0)
        .utc_offset_hour((offset / 60) as i8)
        .utc_offset_minute((offset % 60).unsigned_abs() as u8);
    document.set_metadata(
        Metadata::new()
            .title(about.title.clone())
            .language(about.language.to_owned())
            .creator("telecabine".to_owned())
            .creation_date(written_at),
    );

    let mut groups: Vec<TagGroup> = blocks.iter().map(|block| TagGroup::new(tag_of(block))).collect();
    let count = pages.len();
    for (index, items) in pages.into_iter().enumerate() {
        let size = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT).expect("A4 has a positive size");
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        for item in items {
            let identifier = item.draw(&mut surface);
            groups[item.block].push(identifier);
        }
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::PageNumber)));
        let text = format!("{} {} / {}", about.page, index + 1, count);
        write(&mut surface, &REGULAR, 11.0, GREY, MARGIN, PAGE_HEIGHT - 40.0, &text);
        surface.end_tagged();
        surface.finish();
        page.finish();
    }
    let mut tree = TagTree::new().with_lang(Some(about.language.to_owned()));
    for group in groups {
        tree.push(Node::Group(group));
    }
    document.set_tag_tree(tree);
    document.finish().map_err(|e| PdfFault::Refused(format!("{e:?}")))
}

const INK: (u8, u8, u8) = (0x14, 0x30, 0x2B);
const MAIN: (u8, u8, u8) = (0x0B, 0x5D, 0x57);
const GREY: (u8, u8, u8) = (0x3E, 0x56, 0x50);

struct Style {
    bold: bool,
    size: f32,
    leading: f32,
    color: (u8, u8, u8),
}

const TITLE: Style = Style { bold: true, size: 26.0, leading: 32.0, color: INK };
const HEADING: Style = Style { bold: true, size: 18.0, leading: 24.0, color: MAIN };
const BODY: Style = Style { bold: false, size: 14.0, leading: 20.0, color: INK };
const VALUE: Style = Style { bold: true, size: 16.0, leading: 20.0, color: INK };
const DETAIL: Style = Style { bold: false, size: 11.0, leading: 15.0, color: GREY };

impl Style {
    fn face(&self) -> &'static Face {
        if self.bold { &BOLD } else { &REGULAR }
    }
}

/// One line of text at its place, or a thin rule.
struct Item {
    block: usize,
    style: &'static Style,
    x: f32,
    baseline: f32,
    text: String,
    rule_above: bool,
}

impl Item {
    fn draw(&self, surface: &mut Surface<'_>) -> Identifier {
        if self.rule_above {
            surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other)));
            let mut path = PathBuilder::new();
            let y = self.baseline - self.style.leading;
            path.move_to(MARGIN, y);
            path.line_to(PAGE_WIDTH - MARGIN, y);
            path.line_to(PAGE_WIDTH - MARGIN, y + 1.2);
            path.line_to(MARGIN, y + 1.2);
            path.close();
            if let Some(path) = path.finish() {
                surface.set_fill(Some(fill(MAIN)));
                surface.draw_path(&path);
            }
            surface.end_tagged();
        }
        let identifier = surface.start_tagged(ContentTag::Span(SpanTag::empty()));
        write(surface, self.style.face(), self.style.size, self.style.color, self.x, self.baseline, &self.text);
        surface.end_tagged();
        identifier
    }
}

fn tag_of(block: &Block) -> krilla::tagging::TagKind {
    let heading = |level: u16, text: &String| {
        Tag::Hn(NonZeroU16::new(level).expect("a heading's level is 1 or more"), Some(text.clone())).into()
    };
    match block {
        Block::Title(text) => heading(1, text),
        Block::Heading(text) => heading(2, text),
        Block::Paragraph(_) | Block::Row { .. } => Tag::P.into(),
    }
}

fn fill((r, g, b): (u8, u8, u8)) -> Fill {
    Fill { paint: rgb::Color::new(r, g, b).into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

fn write(surface: &mut Surface<'_>, face: &Face, size: f32, color: (u8, u8, u8), x: f32, baseline: f32, text: &str) {
    surface.set_fill(Some(fill(color)));
    let start = Point::from_xy(x, baseline);
    surface.draw_text(start, face.font.clone(), size, text, false, TextDirection::LeftToRight);
}

/// Breaks the blocks into lines and the lines into pages.
fn lay_out(blocks: &[Block]) -> Vec<Vec<Item>> {
    let mut pages: Vec<Vec<Item>> = vec![Vec::new()];
    let mut y = MARGIN;
    for (index, block) in blocks.iter().enumerate() {
        // What must stay together: a heading with the line after it, a row with its detail.
        let (before, lines) = lines_of(index, block);
        let keep = match block {
            Block::Paragraph(_) => BODY.leading,
            Block::Heading(_) => before + lines.iter().map(|l| l.advance).sum::<f32>() + 2.0 * BODY.leading,
            Block::Title(_) | Block::Row { .. } => before + lines.iter().map(|l| l.advance).sum::<f32>(),
        };
        let started = pages.last().is_some_and(|p| !p.is_empty());
        if started && y + keep > BOTTOM {
            pages.push(Vec::new());
            y = MARGIN;
        } else if started {
            y += before;
        }
        for line in lines {
            if y + line.advance > BOTTOM && pages.last().is_some_and(|p| !p.is_empty()) {
                pages.push(Vec::new());
                y = MARGIN;
            }
            // A line that advances nothing shares the place of the one before: the name beside the value.
            let baseline = if line.advance == 0.0 { y } else { y + line.advance };
            y = baseline;
            let item = Item { baseline, ..line.item };
            pages.last_mut().expect("there is always a page").push(item);
        }
    }
    pages
}

struct Line {
    advance: f32,
    item: Item,
}

/// The space above a block, and its lines.
fn lines_of(block_index: usize, block: &Block) -> (f32, Vec<Line>) {
    let line = |style: &'static Style, x: f32, text: String, advance: f32| Line {
        advance,
        item: Item { block: block_index, style, x, baseline: 0.0, text, rule_above: false },
    };
    let wide = PAGE_WIDTH - 2.0 * MARGIN;
    let all = |style: &'static Style, text: &str| -> Vec<Line> {
        wrap(style, text, wide).into_iter().map(|t| line(style, MARGIN, t, style.leading)).collect()
    };
    match block {
        Block::Title(text) => (0.0, all(&TITLE, text)),
        Block::Heading(text) => {
            let mut lines = all(&HEADING, text);
            if let Some(first) = lines.first_mut() {
                first.item.rule_above = true;
                first.advance += 4.0;
            }
            (16.0, lines)
        }
        Block::Paragraph(text) => (6.0, all(&BODY, text)),
        Block::Row { name, value, detail } => {
            let names = wrap(&BODY, name, COLUMN - MARGIN - 12.0);
            let values = wrap(&VALUE, value, PAGE_WIDTH - MARGIN - COLUMN);
            let mut lines = Vec::new();
            for row in 0..names.len().max(values.len()) {
                let mut advance = VALUE.leading;
                if let Some(name) = names.get(row) {
                    lines.push(line(&BODY, MARGIN, name.clone(), advance));
                    advance = 0.0;
                }
                if let Some(value) = values.get(row) {
                    lines.push(line(&VALUE, COLUMN, value.clone(), advance));
                }
            }
            if !detail.is_empty() {
                let details = wrap(&DETAIL, detail, PAGE_WIDTH - MARGIN - COLUMN);
                lines.extend(details.into_iter().map(|t| line(&DETAIL, COLUMN, t, DETAIL.leading)));
            }
            (6.0, lines)
        }
    }
}

/// Breaks text at spaces, and inside a word only when the word alone is wider than the line.
fn wrap(style: &Style, text: &str, width: f32) -> Vec<String> {
    let face = style.face();
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut current = String::new();
        for word in face.printable(paragraph).split(' ').filter(|w| !w.is_empty()) {
            let joined = if current.is_empty() { word.to_owned() } else { format!("{current} {word}") };
            if face.width(&joined, style.size) <= width {
                current = joined;
                continue;
            }
            if !current.is_empty() {
                lines.push(std::mem::take(&mut current));
            }
            for letter in word.chars() {
                current.push(letter);
                if face.width(&current, style.size) > width && current.chars().count() > 1 {
                    current.pop();
                    lines.push(std::mem::take(&mut current));
                    current.push(letter);
                }
            }
        }
        if !current.is_empty() {
            lines.push(current);
        }
    }
    lines
}

/// A typeface, to draw with and to measure with.
struct Face {
    font: Font,
    /// Advance of each character that it can draw, as a share of the size.
    advances: HashMap<char, f32>,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Face {
        let font = Font::new(bytes.to_vec().into(), 0).expect("the embedded typeface can be read");
        let parsed = skrifa::FontRef::new(bytes).expect("the embedded typeface can be read");
        let metrics = parsed.glyph_metrics(skrifa::instance::Size::new(1.0), skrifa::instance::LocationRef::default());
        let advances = parsed
            .charmap()
            .mappings()
            .filter(|(_, glyph)| glyph.to_u32() != 0)
            .filter_map(|(code, glyph)| Some((char::from_u32(code)?, metrics.advance_width(glyph)?)))
            .collect();
        Face { font, advances }
    }

    /// Sum of the advances, points. Kerning only ever narrows a line of this face by less than a letter.
    fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.advances.get(&c).copied().unwrap_or(1.0) * size).sum()
    }

    /// The text with everything that the typeface cannot draw as `?`: a visible mark, never a silent gap.
    fn printable(&self, text: &str) -> String {
        text.chars()
            .filter(|c| !matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{FEFF}'))
            .map(|c| match c {
                '\u{A0}' | '\u{202F}' | '\u{2009}' => ' ',
                c if c.is_control() => ' ',
                c if self.advances.contains_key(&c) => c,
                _ => '?',
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn about() -> About {
        About {
            title: "Compte rendu de téléconsultation".to_owned(),
            language: "fr",
            written_at: (2026, 11, 22, 14, 5),
            utc_offset_minutes: 60,
            page: "Page",
        }
    }

    fn row(name: &str, value: &str) -> Block {
        Block::Row { name: name.to_owned(), value: value.to_owned(), detail: "oxymètre, à 14:05".to_owned() }
    }

    /// The text of a PDF by poppler, which is not ours; `None` where it is not installed.
    fn text_of(pdf: &[u8]) -> Option<String> {
        let mut child = Command::new("pdftotext")
            .args(["-layout", "-", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|_| eprintln!("SKIPPED: pdftotext (package poppler-utils) is not installed"))
            .ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let pdf = pdf.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&pdf));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_sheet_reads_back_word_for_word() {
        let blocks = [
            Block::Title("Compte rendu de téléconsultation".to_owned()),
            Block::Heading("Mesures".to_owned()),
            row("Oxygène dans le sang", "97 %"),
            row("Température", "36,8 °C"),
            Block::Paragraph(
                "Repos. Boire de l'eau, revoir si la fièvre dépasse trois jours ; œdème, naïveté, ça.".to_owned(),
            ),
        ];
        let pdf = render(&blocks, &about()).unwrap();
        assert!(pdf.starts_with(b"%PDF-1.4"));
        assert_eq!(pdf, render(&blocks, &about()).unwrap(), "the same sheet must give the same bytes");
        let Some(text) = text_of(&pdf) else { return };
        for word in ["Compte rendu de téléconsultation", "97 %", "36,8 °C", "œdème", "Page 1 / 1"] {
            assert!(text.contains(word), "{word} is missing");
        }
    }

    #[test]
    fn a_long_report_goes_on_over_pages_and_loses_no_word() {
        let words: Vec<String> = (0..3_000).map(|n| format!("mot{n:04}")).collect();
        let blocks = [Block::Title("T".to_owned()), Block::Paragraph(words.join(" "))];
        let pdf = render(&blocks, &about()).unwrap();
        let Some(text) = text_of(&pdf) else { return };
        for word in words {
            assert!(text.contains(&word), "{word} is missing");
        }
    }

    #[test]
    fn a_report_without_end_is_refused_and_not_cut() {
        let blocks = [Block::Paragraph("mot ".repeat(60_000))];
        assert!(matches!(render(&blocks, &about()), Err(PdfFault::TooLong { .. })));
    }

    #[test]
    fn text_that_no_typeface_or_line_can_hold_is_drawn_all_the_same() {
        let blocks = [Block::Paragraph(format!("{}\u{1F600}\u{202E}\u{0}\tfin", "x".repeat(400)))];
        let pdf = render(&blocks, &about()).unwrap();
        let Some(text) = text_of(&pdf) else { return };
        assert!(text.contains("fin"));
        assert_eq!(text.matches('x').count(), 400);
    }
}
