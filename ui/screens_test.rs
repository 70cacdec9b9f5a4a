//! Every screen, in every language, at every supported size: what can be touched is in sight or in a part that
//! scrolls, large enough, has a label of its own, and holds its words.

mod curves_test;
mod words_test;

use i_slint_backend_testing::{AccessibleRole, ElementHandle, ElementQuery};
use slint::platform::software_renderer::{MinimalSoftwareWindow, RepaintBufferType};
use slint::platform::{Platform, PlatformError, WindowAdapter};
use slint::{ComponentHandle, LogicalPosition, LogicalSize, PhysicalSize};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

const SIZES: [(u32, u32); 3] = [(1920, 1080), (1080, 1920), (1280, 800)];

/// Rounding of positions to whole pixels, px.
const SLACK: f32 = 2.0;

/// Least side of what a finger touches, px: keys of the keyboard and header buttons on the smallest screen.
const TOUCH_MIN: f32 = 56.0;

struct Headless {
    window: Rc<MinimalSoftwareWindow>,
}

impl Platform for Headless {
    fn create_window_adapter(&self) -> Result<Rc<dyn WindowAdapter>, PlatformError> {
        Ok(self.window.clone())
    }
}

/// One test of the window: a process has one.
#[test]
fn every_screen_can_be_touched_and_heard_in_every_language_at_every_size() {
    let window = MinimalSoftwareWindow::new(RepaintBufferType::NewBuffer);
    slint::platform::set_platform(Box::new(Headless { window: window.clone() })).expect("the only platform");
    let app = ui::App::new().expect("the window");
    ui::connect(&app);
    app.show().expect("the window is shown");

    let mut faults = Vec::new();
    for (code, _) in ui::LANGUAGES {
        ui::select_language(&app, code).expect("a language of the list");
        for (width, height) in SIZES {
            window.set_size(PhysicalSize::new(width, height));
            for text_scale in ui::TEXT_SCALES {
                // The middle size of text is the tightest on the smallest screen; the others are between.
                if text_scale > 1.0 && text_scale < 2.0 && width != 1280 {
                    continue;
                }
                app.global::<ui::Theme>().set_text_scale(text_scale);
                for scene in ui::gallery::SCENES {
                    ui::gallery::show(&app, scene);
                    settle(&app);
                    let place = format!("{} {code} {width}x{height} text {text_scale}", scene.name);
                    check(&app, width as f32, &place, &mut faults);
                    check_way_out(&app, &place, &mut faults);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Lets `changed` handlers and conditional parts come to rest, as drawing a few frames does. Nothing is drawn:
/// visiting the elements is what makes them.
fn settle(app: &ui::App) {
    slint::platform::update_timers_and_animations();
    ElementQuery::from_root(app).match_descendants().match_accessible_role(AccessibleRole::Button).find_all();
    slint::platform::update_timers_and_animations();
}

fn check(app: &ui::App, width: f32, place: &str, faults: &mut Vec<String>) {
    // A query meets an element once for each way that leads to it.
    let mut met = BTreeSet::new();
    let controls: Vec<ElementHandle> = [AccessibleRole::Button, AccessibleRole::TextInput]
        .into_iter()
        .flat_map(|role| ElementQuery::from_root(app).match_descendants().match_accessible_role(role).find_all())
        .filter(|control| {
            let (at, size) = (control.absolute_position(), control.size());
            let place = [at.x, at.y, size.width, size.height].map(|pixels| pixels.round() as i32);
            met.insert((place, control.accessible_label().unwrap_or_default().to_string()))
        })
        .collect();
    if controls.is_empty() {
        faults.push(format!("{place}: nothing to touch"));
    }
    let mut labels: BTreeMap<String, usize> = BTreeMap::new();
    for control in &controls {
        let label = control.accessible_label().unwrap_or_default().to_string();
        if label.trim().is_empty() {
            faults.push(format!("{place}: a control without label"));
        }
        *labels.entry(label.clone()).or_default() += 1;
        let (at, size) = (control.absolute_position(), control.size());
        if at.x < -SLACK || at.x + size.width > width + SLACK {
            faults.push(format!("{place}: {label:?} from {} to {} px, of {width}", at.x, at.x + size.width));
        }
        if size.width.min(size.height) < TOUCH_MIN {
            faults.push(format!("{place}: {label:?} is {} by {} px", size.width, size.height));
        }
        for text in control.query_descendants().match_inherits("Text").find_all() {
            if !inside(text.absolute_position(), text.size(), at, size) {
                faults.push(format!("{place}: words of {label:?} are out of it"));
            }
        }
    }
    for (label, count) in labels {
        if count > 1 {
            faults.push(format!("{place}: {count} controls are called {label:?}"));
        }
    }
    for text in ElementQuery::from_root(app).match_descendants().match_inherits("Text").find_all() {
        let (at, size) = (text.absolute_position(), text.size());
        if at.x < -SLACK || at.x + size.width > width + SLACK {
            let words = text.accessible_label().unwrap_or_default();
            faults.push(format!("{place}: text {words:?} from {} to {} px, of {width}", at.x, at.x + size.width));
        }
    }
}

/// Help and emergency are at hand on every screen that a patient may stand before, and Leave while there is one; what
/// lies over a screen is closed first, or brings them itself.
fn check_way_out(app: &ui::App, place: &str, faults: &mut Vec<String>) {
    let bar = app.global::<ui::Bar>();
    // Behind a personal code; time brings the patient's screens back.
    use ui::Screen::{Binding, OpinionRead, Opinions, PharmacistSpace, Technician};
    if matches!(bar.get_screen(), PharmacistSpace | Opinions | OpinionRead | Technician | Binding) {
        return;
    }
    let [help, emergency, leave, call, numbers] = match bar.get_language().as_str() {
        "en" => ["Help", "Emergency 15", "Leave", "Call the pharmacist", "Emergency: see the numbers"],
        _ => ["Aide", "Urgence 15", "Quitter", "Appeler le pharmacien", "Urgence\u{a0}: voir les numéros"],
    };
    let mut wanted = vec![help];
    if bar.get_screen() != ui::Screen::Emergency {
        wanted.push(emergency);
    }
    if bar.get_patient_present() {
        wanted.push(leave);
    }
    if bar.get_overlay() == ui::Overlay::NotKept {
        wanted.extend([call, numbers]);
    }
    let buttons =
        ElementQuery::from_root(app).match_descendants().match_accessible_role(AccessibleRole::Button).find_all();
    let labels: Vec<String> = buttons.iter().map(|b| b.accessible_label().unwrap_or_default().to_string()).collect();
    for label in wanted {
        if !labels.iter().any(|there| there == label) {
            faults.push(format!("{place}: no {label:?}"));
        }
    }
}

fn inside(at: LogicalPosition, size: LogicalSize, outer_at: LogicalPosition, outer: LogicalSize) -> bool {
    at.x >= outer_at.x - SLACK
        && at.y >= outer_at.y - SLACK
        && at.x + size.width <= outer_at.x + outer.width + SLACK
        && at.y + size.height <= outer_at.y + outer.height + SLACK
}
