//! The screens of the cabin: what people see and touch, and nothing that decides.
//!
//! Each screen is one `.slint` file with its adapter, a global of properties that the cabin sets and callbacks
//! that it answers. Rust passes enums, numbers and data (names, towns); words live in `.slint` and `lang/`.
//!
//! ```no_run
//! # fn show() -> Result<(), slint::PlatformError> {
//! use slint::ComponentHandle;
//! let app = ui::App::new()?;
//! ui::connect(&app);
//! app.global::<ui::Bar>().set_screen(ui::Screen::Welcome);
//! app.run()
//! # }
//! ```

pub mod gallery;

// The generated code documents nothing.
#[allow(missing_docs, clippy::all, clippy::todo, clippy::unimplemented, clippy::print_stdout)]
mod screens {
    slint::include_modules!();
}
pub use screens::*;

use slint::platform::{Key, WindowEvent};
use slint::{ComponentHandle, Model, ModelRc, SharedString, VecModel};
use std::fmt::Write;

/// Every language of the screens: its code (a folder of `lang/`, or the source language) and its own name.
/// Adding one is a `.po` file and a line here.
pub const LANGUAGES: &[(&str, &str)] = &[("fr", "Français"), ("en", "English")];

/// The language of the sources, and of a cabin that has just been opened or cleaned.
pub const SOURCE_LANGUAGE: &str = "fr";

/// Version of the words that ask for consent to care, as a date `YYYYMMDD`. A test ties each version to a hash of the
/// words in every language: words that change get the date of the day.
pub const CARE_TEXT: i32 = 20_261_123;

/// The same, for telling the usual doctor.
pub const USUAL_DOCTOR_TEXT: i32 = 20_261_123;

/// The same, for statistics.
pub const STATISTICS_TEXT: i32 = 20_261_123;

/// Sizes of text offered, as factors of the normal one: the last is the 200 % of EN 301 549.
pub const TEXT_SCALES: [f32; 3] = [1.0, 1.4, 2.0];

/// Most samples drawn in a curve: one for every two pixels of the widest panel; the oldest are left out beyond.
pub const CURVE_SAMPLES_MAX: usize = 800;

/// Answers what needs no decision: the keys of the screen's keyboard, curves, text size, contrast, the lower
/// layout and the language. Call it once, before showing the window.
///
/// What the cabin answers itself (help, leaving, every adapter) is left alone; so is [`Bar::on_listen`].
pub fn connect(app: &App) {
    let languages: Vec<Language> =
        LANGUAGES.iter().map(|(code, name)| Language { code: (*code).into(), name: (*name).into() }).collect();
    app.global::<Bar>().set_languages(ModelRc::new(VecModel::from(languages)));

    let keys = app.global::<Keys>();
    let window = app.as_weak();
    keys.on_type(move |text| press(&window, text));
    let window = app.as_weak();
    keys.on_erase(move || press(&window, SharedString::from(Key::Backspace)));
    app.global::<Curves>()
        .on_path(|samples, width, height| curve_path(&samples.iter().collect::<Vec<f32>>(), width, height).into());

    let bar = app.global::<Bar>();
    let weak = app.as_weak();
    bar.on_bigger_text(move || {
        if let Some(app) = weak.upgrade() {
            let theme = app.global::<Theme>();
            theme.set_text_scale(next_text_scale(theme.get_text_scale()));
        }
    });
    let weak = app.as_weak();
    bar.on_contrast(move || {
        if let Some(app) = weak.upgrade() {
            let theme = app.global::<Theme>();
            theme.set_high_contrast(!theme.get_high_contrast());
        }
    });
    let weak = app.as_weak();
    bar.on_lower(move || {
        if let Some(app) = weak.upgrade() {
            let theme = app.global::<Theme>();
            theme.set_lower(!theme.get_lower());
        }
    });
    let weak = app.as_weak();
    bar.on_open_languages(move || {
        if let Some(app) = weak.upgrade() {
            app.global::<Bar>().set_overlay(Overlay::Languages);
        }
    });
    let weak = app.as_weak();
    bar.on_close_overlay(move || {
        if let Some(app) = weak.upgrade() {
            app.global::<Bar>().set_overlay(Overlay::None);
        }
    });
    let weak = app.as_weak();
    bar.on_choose_language(move |code| {
        if let Some(app) = weak.upgrade()
            && select_language(&app, &code).is_ok()
        {
            app.global::<Bar>().set_overlay(Overlay::None);
        }
    });
}

/// A language that the screens do not have: choose one of [`LANGUAGES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLanguage {
    /// The code asked for.
    pub code: String,
}

impl std::fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known: Vec<&str> = LANGUAGES.iter().map(|(code, _)| *code).collect();
        write!(f, "no screens in language {:?}: choose one of {}", self.code, known.join(", "))
    }
}

impl std::error::Error for UnknownLanguage {}

/// Shows the screens in the language `code`, one of [`LANGUAGES`].
///
/// # Errors
/// [`UnknownLanguage`]; the screens keep the language they had.
pub fn select_language(app: &App, code: &str) -> Result<(), UnknownLanguage> {
    let unknown = || UnknownLanguage { code: code.to_owned() };
    if !LANGUAGES.iter().any(|(known, _)| *known == code) {
        return Err(unknown());
    }
    // The source language has no translation: the empty code selects the words as they are written.
    let bundled = if code == SOURCE_LANGUAGE { "" } else { code };
    slint::select_bundled_translation(bundled).map_err(|_| unknown())?;
    app.global::<Bar>().set_language(code.into());
    Ok(())
}

/// Puts size, contrast, place and language back to what a new patient finds.
pub fn reset_comfort(app: &App) {
    let theme = app.global::<Theme>();
    theme.set_text_scale(TEXT_SCALES[0]);
    theme.set_high_contrast(false);
    theme.set_lower(false);
    select_language(app, SOURCE_LANGUAGE).unwrap_or_default();
}

/// The size of [`TEXT_SCALES`] after `scale`, the smallest again after the largest.
pub fn next_text_scale(scale: f32) -> f32 {
    TEXT_SCALES.into_iter().find(|larger| *larger > scale + 0.01).unwrap_or(TEXT_SCALES[0])
}

/// Presses and releases a key in the window, as a real keyboard would: the field that has the focus receives it.
fn press(app: &slint::Weak<App>, text: SharedString) {
    let Some(app) = app.upgrade() else { return };
    // An accented or doubled text ("2A") is typed letter by letter.
    for letter in text.chars() {
        let text = SharedString::from(letter);
        app.window().dispatch_event(WindowEvent::KeyPressed { text: text.clone() });
        app.window().dispatch_event(WindowEvent::KeyReleased { text });
    }
}

/// The SVG path through `samples` (0 to 1, oldest first) in a box of `width` by `height` px; empty for fewer than
/// two samples or an empty box. A sample out of range is drawn at the edge: the figure, not the curve, is the
/// reading.
pub fn curve_path(samples: &[f32], width: f32, height: f32) -> String {
    let samples = &samples[samples.len().saturating_sub(CURVE_SAMPLES_MAX)..];
    if samples.len() < 2 || width <= 0.0 || height <= 0.0 {
        return String::new();
    }
    let step = width / (samples.len() - 1) as f32;
    // The stroke is some 4 px wide: half of it stays inside the box.
    let inset = 3.0f32.min(height / 2.0);
    let mut path = String::with_capacity(samples.len() * 14);
    for (index, sample) in samples.iter().enumerate() {
        let value = if sample.is_finite() { sample.clamp(0.0, 1.0) } else { 0.0 };
        let command = if index == 0 { 'M' } else { 'L' };
        let y = inset + (1.0 - value) * (height - 2.0 * inset);
        write!(path, "{command}{:.1} {y:.1}", index as f32 * step).unwrap_or_default();
    }
    path
}
