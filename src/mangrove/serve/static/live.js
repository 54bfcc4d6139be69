// SPDX-License-Identifier: Apache-2.0
// One stream of events for each page, closed while nobody looks. When the ledger has moved, the regions marked data-live are fetched
// again from the page's own address and put in place; focus, open details and scroll positions stay. Pages work without this file.

const LIVE = "[data-live]";
const SLOWEST = 3000; // at most one refresh in so many milliseconds

let source = null;
let waiting = null;
let last = 0;

function open() {
  if (source || document.hidden || !document.querySelector("[data-live], [data-tick]")) return;
  source = new EventSource("/events");
  source.addEventListener("moved", (event) => schedule(JSON.parse(event.data)));
  source.addEventListener("tick", (event) => tick(JSON.parse(event.data)));
}

function close() {
  if (source) source.close();
  source = null;
}

function tick(data) {
  const clock = document.getElementById("clock");
  if (clock && data.shown) {
    clock.dateTime = data.now;
    clock.textContent = data.shown[document.documentElement.lang] || clock.textContent;
  }
}

function schedule(data) {
  if (waiting) return;
  const wait = Math.max(0, last + SLOWEST - Date.now());
  waiting = setTimeout(() => refresh(data), wait);
}

async function refresh(data) {
  waiting = null;
  last = Date.now();
  let text;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    text = await answer.text();
  } catch {
    return; // the server is away; the stream connects again by itself
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll(LIVE)) {
    const now = fresh.getElementById(old.id);
    if (now && now.innerHTML !== old.innerHTML) replace(old, now);
  }
  const clock = fresh.getElementById("clock");
  const shown = document.getElementById("clock");
  if (clock && shown) shown.replaceWith(document.importNode(clock, true));
  document.dispatchEvent(new CustomEvent("mg:tick", { detail: data }));
}

// Keeps what the reader did inside a region: which details are open, what has the focus, how far it was scrolled.
function replace(old, now) {
  const opened = new Set([...old.querySelectorAll("details[open][id]")].map((one) => one.id));
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const address = focused && (focused.id || focused.getAttribute("href"));
  const scrolled = [...old.querySelectorAll(".table")].map((one) => one.scrollLeft);
  old.replaceChildren(...[...now.childNodes].map((node) => document.importNode(node, true)));
  for (const one of old.querySelectorAll("details[id]")) if (opened.has(one.id)) one.open = true;
  old.querySelectorAll(".table").forEach((one, i) => (one.scrollLeft = scrolled[i] || 0));
  if (address) {
    const again = old.querySelector(`#${CSS.escape(address)}, [href="${CSS.escape(address)}"]`);
    if (again) again.focus({ preventScroll: true });
  }
  old.dispatchEvent(new CustomEvent("mg:replaced", { bubbles: true }));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else {
    open();
    schedule({});
  }
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);
open();

// A select of the control bar needs no second click.
for (const select of document.querySelectorAll("form.control select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// A proof opens beside the page.
document.addEventListener("htmx:after:swap", () => {
  const dialog = document.getElementById("proof");
  if (dialog && !dialog.open && document.getElementById("proof-body").childElementCount) dialog.showModal();
});
const proof = document.getElementById("proof");
if (proof) proof.addEventListener("close", () => document.getElementById("proof-body").replaceChildren());
