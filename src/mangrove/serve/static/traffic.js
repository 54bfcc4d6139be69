// SPDX-License-Identifier: Apache-2.0
// The streets of the page "traffic" in time: a slider and a player over the steps of a day. One answer of /traffic.json holds the class of
// every street at every step; playing recolors the drawn lines, and what the reader stops at is asked for from the server with its words.
// Without this file the links and the form of the page lead through the steps.

import { playback, renewed, shown } from "./playback.js";

const drawing = document.getElementById("traffic-drawing");
const player = document.getElementById("traffic-player");
const BEAT = 220; // milliseconds a step
const TIME = { frames: null, index: -1 };

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
  const instant = document.getElementById("traffic-instant");
  instant.textContent = `${shown("traffic", index)} ${instant.textContent.split(" ").slice(1).join(" ")}`;
}

// What the reader stays at gets its address and its words: one request.
async function settle() {
  if (TIME.index < 0) return;
  const there = new URL(location.href);
  there.searchParams.set("t", choices().options[TIME.index].value);
  if (!(await renewed(there, ["traffic-steps", "traffic-drawing", "traffic-legend"]))) return;
  history.replaceState(null, "", there);
  drawing.classList.remove("playing");
}

// New values came: the next step asks for the day again.
function renew() {
  TIME.frames = null;
  if (drawing.classList.contains("playing")) step(TIME.index);
  else document.getElementById("traffic-slider").value = choices().selectedIndex;
}

if (drawing && player) playback("traffic", { beat: BEAT, step, settle, renew });
