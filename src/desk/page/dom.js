// The few verbs that every module needs. Text goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function node(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function pairs(list, rows) {
  list.replaceChildren(...rows.filter(Boolean).flatMap(([term, text, name]) => [
    node("dt", { textContent: term }), node("dd", { textContent: text, className: name ?? "" }),
  ]));
}

let noticeTimer = 0;
/// A line above everything; stays `seconds`, or until the next one when 0.
export function notice(text, seconds = 12) {
  const line = $("notice");
  line.textContent = text;
  line.hidden = !text;
  line.onclick = () => { line.hidden = true; };
  clearTimeout(noticeTimer);
  if (text && seconds) noticeTimer = setTimeout(() => { line.hidden = true; }, seconds * 1000);
}

/// Length as the cabin counts it: its limits are in bytes of UTF-8.
export const bytesOf = (text) => new TextEncoder().encode(text).length;

export const newId = () => crypto.randomUUID();
