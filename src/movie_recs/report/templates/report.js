"use strict";
// Figures in the page's colours and width; the last lines start them, the explorer and "Your list".

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const copy = (value) => JSON.parse(JSON.stringify(value));
const NARROW = matchMedia("(max-width: 44rem)");
const IS_DARK = matchMedia("(prefers-color-scheme: dark)");

/** Draws each figure when it is scrolled near the window, and again when colours or width change. */
function showFigures() {
  const dark = read("dark-colours");
  const figures = new Map();
  for (const place of document.querySelectorAll(".plot")) {
    figures.set(place, JSON.parse(place.querySelector("script").textContent));
    place.querySelector("script").remove();
  }
  const drawn = new Set();
  const draw = (place, isDark) => {
    const figure = copy(figures.get(place));
    if (NARROW.matches) makeNarrow(figure);
    wrapTitles(figure, place.clientWidth);
    spreadLabels(figure, place.clientWidth);
    if (isDark) replaceColours(figure, dark);
    for (const trace of figure.data) {
      if (trace.error_x && Array.isArray(trace.marker.color)) trace.error_x.color = inkOf(isDark);
      if (trace.mode === "markers+text") trace.cliponaxis = false;
    }
    figure.layout.template = { layout: themeOf(isDark) };
    place.style.minHeight = `${figure.layout.height}px`;
    drawn.add(place);
    Plotly.react(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  };
  const drawAll = (isDark) => drawn.forEach((place) => draw(place, isDark));
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      if (!drawn.has(target)) draw(target, IS_DARK.matches);
    }
  }, { rootMargin: "800px" });
  figures.forEach((_, place) => watcher.observe(place));
  NARROW.addEventListener("change", () => drawAll(IS_DARK.matches));
  IS_DARK.addEventListener("change", () => drawAll(IS_DARK.matches));
  addEventListener("beforeprint", () => figures.forEach((_, place) => draw(place, false)));
  addEventListener("afterprint", () => drawAll(IS_DARK.matches));
}

const inkOf = (isDark) => (isDark ? "#c9d2dc" : "#38444f");

/** A Plotly template in the page's colours. */
function themeOf(isDark) {
  const [ink, line, card] = [inkOf(isDark), ...(isDark ? ["#2f3b48", "#1a222c"] : ["#e4e2da", "#ffffff"])];
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, title: { standoff: 10 } };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: NARROW.matches ? 11 : 13, color: ink },
    xaxis: axis, yaxis: axis, hoverlabel: { bgcolor: card, bordercolor: ink, font: { color: ink } },
  };
}

/** Replaces colours everywhere in a figure. */
function replaceColours(part, colours) {
  for (const [key, value] of Object.entries(part)) {
    if (typeof value === "string") part[key] = colours[value] ?? value;
    else if (value !== null && typeof value === "object") replaceColours(value, colours);
  }
}

/** Wraps long labels, stacks the panels, and puts the legend below them. */
function makeNarrow({ data, layout }) {
  layout.margin = { l: 10, r: 10, t: 30, b: 40 };
  wrapLabels(data, layout, 22);
  stackPanels(layout);
  for (const trace of data) if (trace.colorbar) trace.showscale = false;
  layout.legend = { ...layout.legend, orientation: "h", x: 0, y: layout.yaxis2 ? 0 : -70 / layout.height, yanchor: "top" };
}

/** Wraps the labels of the vertical axes, and makes room for them. */
function wrapLabels(data, layout, length) {
  const counts = [];
  for (const trace of data) {
    if (typeof trace.y?.[0] !== "string") continue;
    const axis = layout[`yaxis${(trace.yaxis ?? "y").slice(1)}`];
    const wrapped = trace.y.map((label) => wrap(label, length));
    axis.tickvals = [...(axis.tickvals ?? []), ...trace.y];
    axis.ticktext = [...(axis.ticktext ?? []), ...wrapped];
    counts.push(...wrapped.map((label) => label.split("<br>").length));
  }
  const panels = Object.keys(layout).filter((name) => name.startsWith("xaxis")).length;
  const needed = 100 + counts.length * (Math.max(...counts, 0) * 14 + 6) / panels;
  layout.height = Math.max(layout.height, needed);
}

/** Stacks the panels, each as wide as the figure. */
function stackPanels(layout) {
  const axes = Object.keys(layout).filter((name) => name.startsWith("xaxis"))
    .sort((one, other) => Number(one.slice(5) || 1) - Number(other.slice(5) || 1));
  if (axes.length < 2) return;
  const panel = axes.length > 2 ? 250 : Math.max(layout.height, 320), [above, below] = [26, 80];
  layout.height = panel * axes.length;
  axes.forEach((name, place) => {
    const top = 1 - place / axes.length;
    layout[name].domain = [0, 1];
    layout[`yaxis${name.slice(5)}`].domain = [top - (panel - below) / layout.height, top - above / layout.height];
    if (layout.annotations?.[place]) Object.assign(layout.annotations[place], { x: 1, xanchor: "right", y: top - (above - 4) / layout.height });
  });
}

/** Moves the labels of single points so that they overlap neither each other nor other points. */
function spreadLabels({ data, layout }, width) {
  const points = data.filter(({ mode, x }) => mode === "markers+text" && x.length === 1);
  if (points.length < 2) return;
  const [low, high] = layout.xaxis.range, top = 1.1 * Math.max(...points.map(({ y }) => y[0]));
  const [across, down, letter] = [width - 90, layout.height - 100, NARROW.matches ? 6 : 7];
  const at = ({ x, y }) => [(x[0] - low) / (high - low) * across, (1 - y[0] / top) * down];
  const taken = points.map((point) => { const [x, y] = at(point); return [x - 6, x + 6, y - 6, y + 6]; });
  for (const point of points) {
    const [x, y] = at(point), long = point.text[0].length * letter;
    const spread = { left: [x - long - 8, x - 8], center: [x - long / 2, x + long / 2], right: [x + 8, x + long + 8] };
    const height = { middle: [y - 7, y + 7], top: [y - 24, y - 8], bottom: [y + 8, y + 24] };
    for (const side of ["middle right", "middle left", "top right", "bottom right", "top left", "bottom left", "top center", "bottom center"]) {
      const [row, column] = side.split(" "), box = [...spread[column], ...height[row]];
      if (box[0] < 0 || box[1] > across || taken.some((other) => box[0] < other[1] && other[0] < box[1] && box[2] < other[3] && other[2] < box[3])) continue;
      point.textposition = side;
      taken.push(box);
      break;
    }
  }
}

/** Wraps the titles of horizontal axes to the width beside the labels. */
function wrapTitles({ data, layout }, width) {
  const letter = NARROW.matches ? 7 : 8;
  const labels = data.flatMap(({ y }, trace) => (typeof y?.[0] === "string" ? layout[`yaxis${(data[trace].yaxis ?? "y").slice(1)}`].ticktext ?? y : []));
  const beside = Math.max(60, ...labels.flatMap((label) => label.split("<br>")).map((line) => line.length * (letter - 1)));
  for (const [name, axis] of Object.entries(layout)) {
    if (!name.startsWith("xaxis") || !axis.title?.text) continue;
    const share = axis.domain ? axis.domain[1] - axis.domain[0] : 1;
    axis.title.text = wrap(axis.title.text, Math.max(20, share * (width - beside) / letter));
  }
}

/** The label in lines of about `length` characters, broken between words. */
function wrap(label, length) {
  const lines = [""];
  for (const word of label.split(/ (?!\d)/)) { // a number stays with its name
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length <= length || lines.at(-1) === "") lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.join("<br>");
}

/** Marks the visible section in the navigation. */
function markSections() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) links.get(target.id).setAttribute("aria-current", "true");
      else links.get(target.id).removeAttribute("aria-current");
    }
  }, { rootMargin: "-30% 0px -65% 0px" });
  document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));
}

const catalogue = new Catalogue(read("explorer-data"));
startExplorer(catalogue);
if (document.getElementById("your-list-data")) startYourList(catalogue, read("your-list-data"));
showFigures();
markSections();
