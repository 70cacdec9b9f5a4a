//! Compiles the one screen.

fn main() {
    slint_build::compile("screen.slint").expect("the screen must compile");
}
