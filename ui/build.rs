//! Compiles the screens, with their words in every language of `lang/`.

fn main() {
    let configuration = slint_build::CompilerConfiguration::new()
        .with_style("fluent".into())
        .with_bundled_translations("lang")
        // One word means one thing wherever it stands: no context per component.
        .with_default_translation_context(slint_build::DefaultTranslationContext::None)
        // Tests find elements by the name they have in the source.
        .with_debug_info(true);
    slint_build::compile_with_config("app.slint", configuration).expect("the screens must compile");
}
