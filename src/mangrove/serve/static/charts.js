// SPDX-License-Identifier: Apache-2.0
// Series that can be zoomed: every <div class="chart" data-src="ADDRESS" data-kind="lines|band|bars"> is drawn by uPlot from columns
// {x: [seconds since 1970], series: [{name, unit, values, low?, high?, dash?}], table?, behind?: [{from, to, level}]} (hours of a low, a
// middle or a high price are shaded). Vietnamese dates and numbers where the page is
// Vietnamese, colors from the page's style, a summary in words and a link to the table for who does not see it. New values are added
// on the page's event mg:tick without losing the zoom; regions that the page replaces are drawn again where they were.

const VENDOR = new URL("./vendor/", import.meta.url);
const COLORS = ["#1b2425", "#44aa99", "#332288", "#cc6677", "#117733", "#882255", "#999933", "#aa4499"];
const LANG = document.documentElement.lang === "en" ? "en" : "vi";
const NUMBERS = new Intl.NumberFormat(LANG === "en" ? "en" : "vi", { maximumSignificantDigits: 4 });
const WORDS = {
  vi: { time: "Thời gian", empty: "không có dữ liệu", table: "Bảng số liệu", range: "từ", to: "đến", last: "mới nhất", keys: "Phím + và − phóng to, thu nhỏ; mũi tên để dịch; 0 xem cả kỳ." },
  en: { time: "Time", empty: "no data", table: "Table of the numbers", range: "from", to: "to", last: "latest", keys: "Keys + and − zoom, arrows move, 0 shows the whole period." },
}[LANG];

const charts = new Map(); // element -> { plot, data, address }
const zooms = new Map(); // address without time -> [min, max] chosen by the reader

let library = null;

function uplot() {
  library ??= new Promise((resolve, reject) => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("uplot-1.6.32.min.css", VENDOR) });
    const script = Object.assign(document.createElement("script"), { src: new URL("uplot-1.6.32.iife.min.js", VENDOR) });
    script.onload = () => resolve(window.uPlot);
    script.onerror = reject;
    document.head.append(style, script);
  });
  return library;
}

// Dates and numbers

const two = (n) => String(n).padStart(2, "0");

// The wall clock of the territory (data-tz of the element or the page), so that 00:00 is its midnight wherever the reader is.
function zoned(tz) {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: tz || undefined, year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23",
  });
  return (seconds) => {
    const said = Object.fromEntries(parts.formatToParts(new Date(seconds * 1000)).map((one) => [one.type, Number(one.value)]));
    return new Date(said.year, said.month - 1, said.day, said.hour, said.minute, said.second);
  };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// What uPlot asks of a date: tokens such as {DD}/{MM}; the page's language decides how a day is written, not the machine's.
export function day(date, { year = false } = {}) {
  if (LANG === "vi") return `${two(date.getDate())}/${two(date.getMonth() + 1)}${year ? `/${date.getFullYear()}` : ""}`;
  return `${date.getDate()} ${MONTHS[date.getMonth()]}${year ? ` ${date.getFullYear()}` : ""}`;
}

export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function moment(date) {
  return `${clock(date)} ${day(date, { year: true })}`;
}

function ticks(local) {
  return (plot, splits, _axis, _space, step) => {
    let before = "";
    return splits.map((seconds) => {
      const date = local(seconds);
      if (step >= 28 * 86400) return LANG === "vi" ? `T${date.getMonth() + 1}/${date.getFullYear()}` : `${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
      if (step >= 86400) return day(date);
      const today = day(date);
      const text = today === before ? clock(date) : `${clock(date)}\n${today}`;
      before = today;
      return text;
    });
  };
}

export function number(value) {
  return value === null || value === undefined || Number.isNaN(value) ? WORDS.empty : NUMBERS.format(value).replace("-", "\u2212");
}

// Shades behind the lines: the colors of the figures, `level` 0, 1 or 2

const SHADES = ["#e3eef9", "#f6f8f8", "#fbe3d3"];

function behind(element) {
  return (plot) => {
    const { left, top, width, height } = plot.bbox;
    for (const one of charts.get(element)?.data?.behind || []) {
      const from = Math.max(plot.valToPos(one.from, "x", true), left);
      const to = Math.min(plot.valToPos(one.to, "x", true), left + width);
      if (to <= from) continue;
      plot.ctx.fillStyle = SHADES[one.level] || SHADES[1];
      plot.ctx.fillRect(from, top, to - from, height);
    }
  };
}

// From columns to what uPlot draws

function columns(data) {
  const found = [data.x];
  for (const one of data.series) {
    found.push(one.values);
    if (one.low && one.high) found.push(one.high, one.low);
  }
  return found;
}

function token(name, fallback) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || fallback;
}

function options(element, data, uPlot, local) {
  const kind = element.dataset.kind || "lines";
  const ink = token("--muted", "#4a5859");
  const grid = { stroke: token("--line", "#d3dcdb"), width: 1 };
  // without a cursor on the chart there is no index, which is not a missing number
  const shownNumber = (_plot, value, _series, index) => (index === null ? "–" : number(value));
  const series = [{ label: WORDS.time, value: (_plot, seconds) => (seconds === null ? "–" : moment(local(seconds))) }];
  const bands = [];
  data.series.forEach((one, index) => {
    const color = one.color || COLORS[index % COLORS.length];
    const shown = {
      label: one.unit ? `${one.name} (${one.unit})` : one.name,
      stroke: color,
      width: 1.6,
      dash: one.dash ? [6, 4] : undefined,
      spanGaps: false,
      points: { show: false },
      value: shownNumber,
    };
    if (kind === "bars") Object.assign(shown, { paths: uPlot.paths.bars({ size: [0.8, 64] }), fill: `${color}cc` });
    else shown.paths = uPlot.paths.stepped({ align: 1 });
    series.push(shown);
    if (one.low && one.high) {
      const edge = { stroke: `${color}66`, width: 0, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }), value: shownNumber };
      series.push({ ...edge, label: `${one.name} ↑` }, { ...edge, label: `${one.name} ↓` });
      bands.push({ series: [series.length - 2, series.length - 1], fill: `${color}2e` });
    }
  });
  const units = [...new Set(data.series.map((one) => one.unit).filter(Boolean))];
  return {
    width: element.clientWidth || 600,
    height: Number(element.dataset.height) || 260,
    series,
    bands,
    tzDate: local,
    scales: { x: { time: true }, y: kind === "bars" ? { range: (_plot, low, high) => [Math.min(low, 0), Math.max(high, 0) * 1.05 || 1] } : {} },
    axes: [
      { stroke: ink, grid, ticks: grid, values: ticks(local), space: 70, size: 44 },
      { stroke: ink, grid, ticks: grid, values: (_plot, splits) => splits.map(number), size: 70, label: units.join(", "), labelSize: 18 },
    ],
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    legend: { live: true },
    hooks: { drawClear: [behind(element)], setSelect: [(plot) => plot.select.width > 4 && remember(element, plot)] },
  };
}

// Zoom: kept by address, so that a chart drawn again shows what the reader was looking at

function place(element) {
  return element.dataset.src.replace(/([?&])t=[^&]*/, "$1");
}

function remember(element, plot) {
  requestAnimationFrame(() => zooms.set(place(element), [plot.scales.x.min, plot.scales.x.max]));
}

function look(element, plot, from, to) {
  const [first, last] = [plot.data[0][0], plot.data[0].at(-1)];
  const whole = from <= first && to >= last;
  if (whole) zooms.delete(place(element));
  else zooms.set(place(element), [from, to]);
  plot.setScale("x", whole ? { min: first, max: last } : { min: Math.max(from, first), max: Math.min(to, last) });
}

function keys(element, plot) {
  return (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !plot.data[0].length) return;
    const { min, max } = plot.scales.x;
    const wide = max - min;
    const moves = { "+": [0.25, -0.25], "=": [0.25, -0.25], "-": [-0.5, 0.5], ArrowLeft: [-0.2, -0.2], ArrowRight: [0.2, 0.2] };
    if (event.key === "0") look(element, plot, -Infinity, Infinity);
    else if (moves[event.key]) look(element, plot, min + moves[event.key][0] * wide, max + moves[event.key][1] * wide);
    else return;
    event.preventDefault();
  };
}

// Words for who does not see the lines

export function summary(data, local) {
  if (!data.x.length) return WORDS.empty;
  const span = `${moment(local(data.x[0]))} – ${moment(local(data.x.at(-1)))}`;
  const parts = data.series.map((one) => {
    const known = one.values.filter((value) => Number.isFinite(value));
    if (!known.length) return `${one.name}: ${WORDS.empty}`;
    const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    return `${one.name}: ${WORDS.range} ${number(low)} ${WORDS.to} ${number(high)}, ${WORDS.last} ${number(known.at(-1))} ${one.unit || ""}`.trim();
  });
  return `${span}. ${parts.join("; ")}.`;
}

// Life of a chart

async function fetched(element) {
  const answer = await fetch(element.dataset.src, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const data = await answer.json();
  return { ...data, x: data.x || [], series: data.series || [] };
}

async function draw(element) {
  if (charts.has(element)) return;
  charts.set(element, { plot: null });
  let data, uPlot;
  try {
    [uPlot, data] = await Promise.all([uplot(), fetched(element)]);
  } catch {
    charts.delete(element);
    return; // what the page wrote inside the element stays
  }
  if (!element.isConnected) return charts.delete(element);
  const local = zoned(element.dataset.tz || document.documentElement.dataset.tz);
  element.replaceChildren();
  charts.get(element).data = data; // the shades are drawn before the plot is known
  const plot = new uPlot(options(element, data, uPlot, local), columns(data), element);
  const words = Object.assign(document.createElement("p"), { className: "note chart-words" });
  const table = Object.assign(document.createElement("a"), { textContent: WORDS.table });
  table.href = element.dataset.table || data.table || element.dataset.src.replace(".json", ".csv");
  element.append(words, table);
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.addEventListener("keydown", keys(element, plot));
  const watch = new ResizeObserver(() => element.clientWidth && plot.setSize({ width: element.clientWidth, height: plot.height }));
  watch.observe(element);
  charts.set(element, { plot, data, local, words, watch });
  tell(element);
  const zoom = zooms.get(place(element));
  if (zoom && data.x.length) look(element, plot, ...zoom);
}

function tell(element) {
  const { data, local, words } = charts.get(element);
  const said = summary(data, local);
  element.setAttribute("aria-label", `${said} ${WORDS.keys}`);
  words.textContent = said;
}

// Appends what is new; a correction of the past replaces all. A window that ended at the latest value moves along with it.
async function update(element) {
  const chart = charts.get(element);
  if (!chart || !chart.plot) return;
  let data;
  try {
    data = await fetched(element);
  } catch {
    return;
  }
  if (charts.get(element) !== chart) return;
  const { plot } = chart;
  const zoom = zooms.get(place(element));
  const last = chart.data.x.at(-1);
  chart.data = data;
  plot.setData(columns(data), !zoom);
  if (zoom && data.x.length) {
    const moved = zoom[1] >= last ? data.x.at(-1) - zoom[1] : 0;
    look(element, plot, zoom[0] + moved, zoom[1] + moved);
  }
  tell(element);
}

function sweep() {
  for (const [element, chart] of charts) {
    if (element.isConnected) continue;
    if (chart.plot) chart.plot.destroy();
    if (chart.watch) chart.watch.disconnect();
    charts.delete(element);
  }
  document.querySelectorAll(".chart[data-src]").forEach(draw);
}

document.addEventListener("mg:replaced", sweep);
document.addEventListener("htmx:after:swap", sweep);
document.addEventListener("mg:tick", () => [...charts.keys()].forEach((element) => element.isConnected && update(element)));
sweep();
