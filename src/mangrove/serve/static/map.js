// SPDX-License-Identifier: Apache-2.0
// The map of the page "map": joins the list and the map, filters the list while a name is typed, and puts a map that can be moved
// (MapLibre, drawn by WebGL) in the place of the drawn one where the machine is fit for it. Without WebGL the drawn map stays; without
// this file the list and its links do all the work. A map in time is played from one answer: courses over time and the share of each
// place in each course; what is settled on is asked for, with its intervals. Colors, textures and numbers come from /map.json, outlines from the basemap
// or from /map/places.geojson; nothing is fetched from elsewhere.

import { playback, renewed, shown } from "./playback.js";

const box = document.getElementById("map");
const drawing = document.getElementById("map-drawing");
const legend = document.getElementById("map-legend");
const list = document.getElementById("map-list");
const REMEMBERED = "mangrove-map";

let map = null; // the MapLibre map once it stands
let data = null; // what /map.json said last
let chosen = ""; // id of the place that is highlighted

// The list and the map, whichever it is

function rows() {
  return [...list.querySelectorAll("tr[data-place]")];
}

function choose(id, { scroll = false } = {}) {
  chosen = id;
  for (const row of rows()) {
    const on = row.dataset.place === id;
    row.classList.toggle("on", on);
    if (on && scroll) row.scrollIntoView({ block: "nearest" });
  }
  for (const path of drawing.querySelectorAll("path[data-place]")) {
    path.classList.toggle("on", path.dataset.place === id);
  }
  if (map && map.getLayer("chosen")) map.setFilter("chosen", ["==", ["get", "id"], id]);
}

function placeOf(target, selector) {
  const found = target instanceof Element ? target.closest(selector) : null;
  return found ? found.dataset.place : "";
}

for (const event of ["mouseover", "focusin"]) {
  list.addEventListener(event, (e) => {
    const id = placeOf(e.target, "tr[data-place]");
    if (id) choose(id);
  });
}

drawing.addEventListener("mouseover", (e) => {
  const id = placeOf(e.target, "path[data-place]");
  if (id) choose(id, { scroll: true });
});
drawing.addEventListener("click", (e) => {
  const pin = e.target instanceof Element ? e.target.closest("g[data-pin]") : null;
  if (pin) location.hash = pin.dataset.pin;
  else visit(placeOf(e.target, "path[data-place]"));
});

// A click on the map leads to the place's row; the row's link leads into the place.
function visit(id) {
  if (!id) return;
  choose(id, { scroll: true });
  const row = rows().find((one) => one.dataset.place === id);
  const link = row && row.querySelector("a");
  if (link) link.focus({ preventScroll: true });
}

// Search without tone marks, as mangrove.text.fold does it

export function fold(text) {
  const bare = text.replace(/[đĐðÐ]/g, "d").normalize("NFD").replace(/\p{M}/gu, "");
  return bare.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
}

const search = document.getElementById("map-search");

function filter() {
  const wanted = fold(search.value);
  for (const row of rows()) row.hidden = !fold(row.dataset.name).includes(wanted);
}

if (search) search.addEventListener("input", filter);
document.addEventListener("mg:replaced", () => {
  if (search && search.value) filter();
  if (chosen) choose(chosen);
});

// The map that can be moved

function capable({ careful }) {
  try {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { failIfMajorPerformanceCaveat: careful });
    const lose = gl && gl.getExtension("WEBGL_lose_context");
    if (lose) lose.loseContext();
    return Boolean(gl);
  } catch {
    return false;
  }
}

async function values() {
  const answer = await fetch(box.dataset.values, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

function load(tag, attributes) {
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.onload = resolve;
    element.onerror = reject;
    document.head.append(element);
  });
}

// Textures as small pictures: the same meaning as in the drawn map.
function picture(texture) {
  const size = 16;
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const pen = canvas.getContext("2d");
  pen.strokeStyle = texture === "hatch" ? "#b3261e" : "rgba(27,36,37,0.55)";
  pen.fillStyle = pen.strokeStyle;
  pen.lineWidth = texture === "hatch" ? 2.4 : 1.6;
  pen.beginPath();
  if (texture === "dots") {
    for (const [x, y] of [[4, 4], [12, 12]]) pen.moveTo(x + 2, y), pen.arc(x, y, 2, 0, 7);
    pen.fill();
  } else if (texture === "grid" || texture === "hidden") {
    pen.moveTo(0, 8), pen.lineTo(size, 8), pen.moveTo(8, 0), pen.lineTo(8, size);
    pen.stroke();
  } else {
    for (const shift of [-size, 0, size]) {
      if (texture === "hatch") pen.moveTo(shift - 2, -2), pen.lineTo(shift + size + 2, size + 2);
      else pen.moveTo(shift - 2, size + 2), pen.lineTo(shift + size + 2, -2);
    }
    pen.stroke();
  }
  return pen.getImageData(0, 0, size, size);
}

const TEXTURES = ["stripes", "dots", "grid", "hatch", "hidden"];

function textured(texture) {
  const ids = Object.keys(data.places).filter((id) => data.places[id].texture === texture);
  return ["in", ["get", "id"], ["literal", ids]];
}

// Chosen by place, not by feature state, because a pattern cannot depend on a state.
function colors() {
  const pairs = Object.entries(data.places).flatMap(([id, place]) => [id, place.color]);
  return pairs.length ? ["match", ["get", "id"], ...pairs, "#ececec"] : "#ececec";
}

function own() {
  return ["in", ["get", "id"], ["literal", Object.keys(data.places)]];
}

// Only names that the reader may know; the basemap holds them all.
function named() {
  const ids = Object.keys(data.places).filter((id) => data.places[id].named);
  return ["in", ["get", "id"], ["literal", ids]];
}

// Sensors and located sources with their regions.
function pinned() {
  const from = { source: "pins" };
  const points = (marked) => ["all", ["==", ["geometry-type"], "Point"], [marked ? "!=" : "==", ["get", "mark"], ""]];
  return [
    { id: "regions", type: "fill", ...from, filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": "#b3261e", "fill-opacity": 0.18, "fill-outline-color": "#b3261e" } },
    { id: "sensors", type: "circle", ...from, filter: points(false), paint: { "circle-radius": 4, "circle-color": "#1b2425", "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.4 } },
    { id: "sources", type: "circle", ...from, filter: points(true), paint: { "circle-radius": 9, "circle-color": "#b3261e", "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.6 } },
    { id: "marks", type: "symbol", ...from, filter: points(true), layout: { "text-field": ["get", "mark"], "text-font": ["Noto Sans", "Segoe UI", "sans-serif"], "text-size": 12, "text-allow-overlap": true }, paint: { "text-color": "#ffffff" } },
  ];
}

function style() {
  const tiles = data.geometry.kind === "pmtiles";
  const address = new URL(data.geometry.address, location.href).href;
  const source = tiles
    ? { type: "vector", url: `pmtiles://${address}` }
    : { type: "geojson", data: address };
  const from = (layer) => (tiles ? { source: "places", "source-layer": layer } : { source: "places" });
  const name = box.dataset.lang === "en" ? ["coalesce", ["get", "name_en"], ["get", "name"]] : ["get", "name"];
  const text = (filter, extra) => ({
    type: "symbol",
    filter,
    layout: { "text-field": name, "text-font": ["Noto Sans", "Segoe UI", "sans-serif"], "text-size": 12, "text-max-width": 8, ...extra },
    paint: { "text-color": "#1b2425", "text-halo-color": "#ffffff", "text-halo-width": 1.4 },
  });
  const layers = [{ id: "ground", type: "background", paint: { "background-color": "#e7efef" } }];
  if (tiles) layers.push({ id: "land", type: "fill", ...from("land"), paint: { "fill-color": "#f6f5ef", "fill-outline-color": "#a9b5b4" } });
  layers.push({ id: "places", type: "fill", ...from("area"), filter: own(), paint: { "fill-color": colors() } });
  layers.push(
    { id: "borders", type: "line", ...from("area"), filter: own(), paint: { "line-color": "#ffffff", "line-width": 0.8 } },
    { id: "chosen", type: "line", ...from("area"), filter: ["==", ["get", "id"], chosen], paint: { "line-color": "#b3261e", "line-width": 3 } },
  );
  if (tiles) {
    layers.push({ id: "around", ...from("label"), ...text(["==", ["get", "kind"], "land"], { "symbol-sort-key": ["get", "rank"] }) });
    layers.push({ id: "names", ...from("label"), ...text(named(), { "symbol-sort-key": ["get", "rank"] }) });
  } else {
    layers.push({ id: "names", ...from("area"), ...text(named(), {}) });
  }
  layers.push(...pinned());
  return { version: 8, sources: { places: source, pins: { type: "geojson", data: data.pins } }, layers };
}

// Pictures must be there before a layer asks for them, so the layers of textures come once the style stands.
function texture(made) {
  const from = data.geometry.kind === "pmtiles" ? { "source-layer": "area" } : {};
  for (const name of TEXTURES) {
    made.addImage(name, picture(name), { pixelRatio: 2 });
    const paint = { "fill-pattern": name };
    made.addLayer({ id: name, type: "fill", source: "places", ...from, filter: textured(name), paint }, "borders");
  }
}

async function stand(careful) {
  data = await values();
  await load("link", { rel: "stylesheet", href: box.dataset.style });
  const library = await import(box.dataset.library);
  library.setWorkerUrl(new URL(box.dataset.worker, location.href).href);
  if (data.geometry.kind === "pmtiles") {
    await load("script", { src: box.dataset.tiles });
    const protocol = new window.pmtiles.Protocol();
    library.addProtocol("pmtiles", protocol.tile);
  }
  if (!data.geometry.bounds) throw new Error("no outlines");
  box.hidden = false;
  const made = new library.Map({
    container: box,
    style: style(),
    bounds: data.geometry.bounds,
    fitBoundsOptions: { padding: 18 },
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    maxPitch: 0,
    renderWorldCopies: false,
    maxZoom: 18,
    fadeDuration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 200,
    canvasContextAttributes: { failIfMajorPerformanceCaveat: careful },
  });
  made.touchZoomRotate.disableRotation();
  made.addControl(new library.NavigationControl({ showCompass: false }));
  made.addControl(new library.ScaleControl());
  made.once("style.load", () => texture(made));
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("slow")), 20000);
    made.once("load", () => (clearTimeout(late), resolve()));
    made.once("webglcontextcreationerror", reject);
  });
  listen(made);
  map = made;
  if (chosen) choose(chosen);
}

function listen(made) {
  const tip = Object.assign(document.createElement("div"), { className: "map-tip", hidden: true });
  box.append(tip);
  const say = (text, point) => {
    made.getCanvas().style.cursor = "pointer";
    tip.textContent = text;
    tip.hidden = false;
    const left = Math.min(point.x + 14, box.clientWidth - tip.offsetWidth - 6);
    const top = Math.min(point.y + 14, box.clientHeight - tip.offsetHeight - 6);
    Object.assign(tip.style, { left: `${left}px`, top: `${top}px` });
  };
  made.on("mousemove", "places", (e) => {
    const id = e.features[0].properties.id;
    const place = data.places[id];
    if (!place) return;
    const pins = made.queryRenderedFeatures(e.point, { layers: ["sensors", "sources"] });
    say(pins.length ? pins[0].properties.label : `${place.name}: ${place.shown}`, e.point);
    if (id !== chosen) choose(id, { scroll: true });
  });
  for (const layer of ["sensors", "sources"]) {
    made.on("mousemove", layer, (e) => say(e.features[0].properties.label, e.point));
  }
  made.on("mouseleave", "places", () => {
    tip.hidden = true;
    made.getCanvas().style.cursor = "";
  });
  made.on("click", "places", (e) => {
    const pins = made.queryRenderedFeatures(e.point, { layers: ["sources"] });
    if (pins.length) location.hash = pins[0].properties.id;
    else visit(e.features[0].properties.id);
  });
}

function show(interactive) {
  box.hidden = !interactive;
  legend.hidden = !interactive;
  drawing.hidden = interactive;
  box.dataset.state = interactive ? "map" : "drawing";
  const button = document.getElementById("map-switch");
  button.textContent = interactive ? button.dataset.off : button.dataset.on;
  if (interactive && map) map.resize();
}

async function turn(interactive, careful) {
  try {
    if (interactive && !map) await stand(careful);
    show(interactive);
  } catch {
    show(false); // the drawn map has the same numbers
  }
}

// New values: colors and textures change in place, the view of the map stays where it is.
async function refresh() {
  if (!map) return;
  try {
    data = await values();
  } catch {
    return;
  }
  map.setPaintProperty("places", "fill-color", colors());
  map.getSource("pins").setData(data.pins);
  for (const texture of TEXTURES) map.setFilter(texture, textured(texture));
}

// A map in time

const BEAT = 450; // milliseconds a step
const TIME = { index: -1, frames: null };

// The amounts of one step by place; a place that no course with a value belongs to is not there.
export function amounts(frames, index) {
  const found = {};
  frames.courses.forEach((course, k) => {
    if (course[index] === null) return;
    for (const [place, share] of Object.entries(frames.shares[k])) {
      if (share !== null) found[place] = (found[place] || 0) + course[index] * share;
    }
  });
  return found;
}

export function colored(frames, value) {
  if (value === undefined) return frames.no_data;
  if (value < 0) return frames.removal;
  return frames.colors[frames.breaks.filter((limit) => value >= limit).length];
}

async function step(index) {
  if (!TIME.frames) TIME.frames = (await values()).frames;
  const frames = TIME.frames;
  const select = document.querySelector("#map-instants select");
  if (!frames || index < 0 || index >= Math.min(frames.starts.length, select.options.length)) return;
  TIME.index = index;
  drawing.classList.add("playing"); // its ranks are those of the step before
  const found = amounts(frames, index);
  const write = new Intl.NumberFormat(box.dataset.lang === "en" ? "en" : "vi", { maximumSignificantDigits: 3 });
  const text = (id) => (found[id] === undefined ? "–" : write.format(found[id] / frames.scale.divisor));
  for (const path of drawing.querySelectorAll("path[data-place]")) {
    path.setAttribute("fill", colored(frames, found[path.dataset.place]));
    const tip = path.querySelector("title");
    if (tip) tip.textContent = `${tip.textContent.split(": ")[0]}: ${text(path.dataset.place)} ${frames.scale.label}`;
  }
  for (const row of rows()) row.querySelector("[data-value]").textContent = text(row.dataset.place);
  document.getElementById("map-instant").textContent = shown("map", index);
  if (!map) return;
  for (const [id, place] of Object.entries(data.places)) {
    place.color = colored(frames, found[id]);
    place.shown = `${text(id)} ${frames.scale.label}`;
  }
  map.setPaintProperty("places", "fill-color", colors());
}

// What the reader stays at gets its address, its intervals and its proofs: one request.
async function settle() {
  const frames = TIME.frames;
  if (!frames || TIME.index < 0) return;
  const there = new URL(location.href);
  there.searchParams.set("t", frames.instants[TIME.index]);
  history.replaceState(null, "", there);
  const twin = new URL(box.dataset.values, location.href);
  twin.searchParams.set("t", frames.instants[TIME.index]);
  box.dataset.values = twin.pathname + twin.search;
  if (!(await renewed(there, ["map-lead", "map-steps", "map-list", "map-drawing"]))) return;
  drawing.classList.remove("playing");
  if (chosen) choose(chosen);
  await refresh();
}

function renew() {
  TIME.frames = null;
  if (drawing.classList.contains("playing")) step(TIME.index);
}

async function start() {
  const button = document.getElementById("map-switch");
  const wish = localStorage.getItem(REMEMBERED);
  if (capable({ careful: false })) {
    button.parentElement.hidden = false;
    button.addEventListener("click", () => {
      const interactive = box.hidden;
      localStorage.setItem(REMEMBERED, interactive ? "map" : "drawing");
      turn(interactive, false);
    });
  }
  show(false);
  const fit = wish === "map" ? capable({ careful: false }) : wish !== "drawing" && capable({ careful: true });
  if (fit) await turn(true, wish !== "map");
  document.addEventListener("mg:tick", refresh);
  playback("map", { beat: BEAT, step, settle, renew });
}

if (box && drawing && list) start();
