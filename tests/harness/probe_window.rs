//! A tiny Slint window with one of each thing that the cabin's screens are made of. The harness is tried on
//! it first, so that a red cabin test means a red cabin.

// What the macro writes has no documentation.
#![allow(missing_docs)]

slint::slint! {
    component Choice inherits Rectangle {
        in property <string> text;
        callback chosen();
        width: 300px;
        height: 80px;
        background: Colors.lightcyan;
        accessible-role: button;
        accessible-label: text;
        accessible-action-default => { chosen(); }
        Text { text: root.text; accessible-role: none; }
        TouchArea { clicked => { chosen(); } }
    }

    export component Probe inherits Window {
        title: "Sonde";
        width: 800px;
        height: 600px;
        private property <int> touches: 0;
        private property <bool> asking: false;
        VerticalLayout {
            alignment: start;
            spacing: 12px;
            Choice { text: "Toucher"; chosen => { root.touches += 1; } }
            Text { text: "Touché " + root.touches + " fois"; font-size: 28px; }
            Rectangle {
                height: 60px;
                width: 400px;
                background: white;
                accessible-role: text-input;
                accessible-label: "Nom de naissance";
                accessible-value: name.text;
                name := TextInput { font-size: 28px; }
            }
            Text { text: "Bonjour " + name.text; font-size: 28px; }
            Choice { text: root.asking ? "Cacher" : "Montrer"; chosen => { root.asking = !root.asking; } }
            if root.asking: Text { text: "Une question de plus"; font-size: 28px; }
            Rectangle {
                width: 300px;
                height: 80px;
                background: touch.pressed ? Colors.teal : Colors.maroon;
                accessible-role: switch;
                accessible-label: "Contraste";
                accessible-checkable: true;
                accessible-checked: root.touches > 1;
                touch := TouchArea { }
            }
        }
    }
}

fn main() -> Result<(), slint::PlatformError> {
    Probe::new()?.run()
}
