// SPDX-License-Identifier: Apache-2.0
// The streets of the page "traffic" in time: a slider and a player over the steps of a day. One answer of /traffic.json holds the class of
// every street at every step; playing recolors the drawn lines, and what the reader stops at is asked for from the server with its words.
// Without this file the links and the form of the page lead through the steps.

const drawing = document.getElementById("traffic-drawing");
const player = document.getElementById("traffic-player");
const slider = document.getElementById("traffic-slider");
const BEAT = 220; // milliseconds a step
const TIME = { timer: 0, frames: null, index: -1 };

async function frames() {
  if (!TIME.frames) {
    const answer = await fetch(player.dataset.frames, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    TIME.frames = (await answer.json()).frames;
  }
  return TIME.frames;
}

function choices() {
  return document.querySelector("#traffic-instants select");
}

// The color of each street at a step: one letter a street, "-" where nothing is known.
export function colors(found, index) {
  const letters = found.steps[index];
  return Object.fromEntries(found.links.map((id, at) => [id, letters[at] === "-" ? "" : found.colors[Number(letters[at])]]));
}

async function step(index) {
  const found = await frames();
  const select = choices();
  if (index < 0 || index >= Math.min(found.steps.length, select.options.length)) return;
  TIME.index = index;
  drawing.classList.add("playing"); // ranks, estimates and tooltips are those of the step before
  const now = colors(found, index);
  for (const path of drawing.querySelectorAll("path[data-link]")) {
    const color = now[path.dataset.link];
    path.setAttribute("stroke", color || "#ffffff");
    if (color) path.removeAttribute("stroke-dasharray");
    else path.setAttribute("stroke-dasharray", "3 4");
  }
  select.selectedIndex = index;
  const shown = document.getElementById("traffic-instant");
  shown.textContent = `${select.options[index].textContent} ${shown.textContent.split(" ").slice(1).join(" ")}`;
  slider.value = index;
  slider.setAttribute("aria-valuetext", select.options[index].textContent);
}

// What the reader stays at gets its address and its words: one request.
async function settle() {
  if (TIME.index < 0) return;
  const there = new URL(location.href);
  there.searchParams.set("t", choices().options[TIME.index].value);
  const answer = await fetch(there, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  history.replaceState(null, "", there);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["traffic-steps", "traffic-drawing", "traffic-legend"]) {
    const now = fresh.getElementById(id);
    const old = document.getElementById(id);
    if (now && old) old.replaceChildren(...[...now.childNodes].map((node) => document.importNode(node, true)));
  }
  drawing.classList.remove("playing");
}

function pause() {
  clearInterval(TIME.timer);
  TIME.timer = 0;
  const button = document.getElementById("traffic-play");
  button.textContent = button.dataset.on;
}

function play() {
  const button = document.getElementById("traffic-play");
  button.textContent = button.dataset.off;
  TIME.timer = setInterval(async () => {
    const next = Number(slider.value) + 1;
    if (next <= Number(slider.max)) return step(next);
    pause();
    return settle();
  }, BEAT);
}

function start() {
  player.hidden = false;
  slider.addEventListener("input", () => step(Number(slider.value)));
  slider.addEventListener("change", settle);
  document.getElementById("traffic-play").addEventListener("click", async () => {
    if (TIME.timer) {
      pause();
      return settle();
    }
    if (slider.value === slider.max) await step(0);
    return play();
  });
  document.getElementById("traffic-instants").addEventListener("change", async (event) => {
    await step(event.target.selectedIndex);
    return settle();
  });
  document.addEventListener("mg:tick", () => {
    TIME.frames = null; // new values: the next step asks for the day again
    slider.max = choices().options.length - 1;
    if (drawing.classList.contains("playing")) step(TIME.index);
    else slider.value = choices().selectedIndex;
  });
}

if (drawing && player && slider) start();
