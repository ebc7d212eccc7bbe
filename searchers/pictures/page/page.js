"use strict";
// What the page does with its data: draws it, and answers clicks. Everything it needs is in the element "data".
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const quantity = Object.fromEntries(data.quantities.map((one) => [one.name, one]));
const ACCENT = "#b3202a", GREY = "#c4c4c4", BLUE = "#3b6ea5";
const COLOURS = [BLUE, "#d9822b", "#7fb069", "#8e6c8a", ACCENT, "#e6b34c", "#9a9a9a", "#4a9a94"];
const LAYOUT = {
  margin: { l: 62, r: 16, t: 36, b: 46 }, font: { size: 12 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
  legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, hoverlabel: { align: "left" },
};
const QUIET = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["autoScale2d", "lasso2d", "select2d"] };
const MANY = 2000; // more are drawn by the graphics processor, which takes a while to start
let kept = new Set(data.front); // rows of the front that the parallel coordinates let through

function add(parent, tag, text, name) {
  const child = document.createElement(tag);
  if (text !== undefined) child.textContent = text;
  if (name) child.className = name;
  parent.append(child);
  return child;
}

function table(into, headings, rows) {
  into.replaceChildren();
  const drawn = add(into, "table");
  if (headings) {
    const head = add(drawn, "tr");
    headings.forEach((heading) => add(head, "th", heading));
  }
  rows.forEach((cells) => {
    const row = add(drawn, "tr");
    cells.forEach((cell) => add(row, "td", cell, typeof cell === "number" ? "number" : ""));
  });
  return drawn;
}

const axis = (one) => ({
  title: { text: one.axis }, type: one.log ? "log" : "linear", gridcolor: "#ececec", zeroline: false, exponentformat: "power",
});
const pick = (name, rows) => rows.map((row) => data.values[name][row]);

function errors(one, rows) {
  if (!one.sigma) return undefined;
  return { type: "data", array: pick(one.sigma, rows).map((sigma) => 2 * sigma * one.sigmaScale), thickness: 1, width: 2 };
}

function drawFront() {
  const across = quantity[element("across").value], up = quantity[element("up").value], shade = quantity[element("shade").value];
  const onFront = new Set(data.front);
  const others = data.designs.map((_, row) => row).filter((row) => data.feasible[row] && !onFront.has(row));
  const shown = data.front.filter((row) => kept.has(row)), hidden = data.front.filter((row) => !kept.has(row));
  const points = (rows, more) => ({
    type: rows.length > MANY ? "scattergl" : "scatter", mode: "markers", x: pick(across.name, rows), y: pick(up.name, rows), customdata: rows,
    text: rows.map((row) => "design " + data.designs[row]), hovertemplate: "%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>", ...more,
  });
  const traces = [];
  if (!element("only-front").checked) traces.push(points(others, { name: "feasible", marker: { size: 4, color: GREY } }));
  if (hidden.length) traces.push(points(hidden, { name: "front, not kept", marker: { size: 6, color: GREY, symbol: "circle-open" } }));
  const colours = pick(shade.name, shown);
  traces.push(points(shown, {
    name: "front", error_x: errors(across, shown), error_y: errors(up, shown),
    marker: { size: 8, color: colours, colorscale: "Viridis", reversescale: !shade.more, showscale: true,
      colorbar: { title: { text: shade.axis, side: "right" }, thickness: 12 } },
  }));
  if (kept.has(data.chosen)) traces.push(points([data.chosen], {
    name: "nearest to the best of every objective", marker: { size: 15, symbol: "star", color: ACCENT },
  }));
  Plotly.react("front", traces, { ...LAYOUT, xaxis: axis(across), yaxis: axis(up), hovermode: "closest" }, QUIET);
}

function drawParallel() {
  const dimensions = data.objectives.map((name) => {
    const one = quantity[name], values = pick(name, data.front), log = one.log && values.every((value) => value > 0);
    const scaled = log ? values.map(Math.log10) : values;
    const low = Math.min(...scaled), high = Math.max(...scaled);
    const ticks = [0, 1, 2, 3, 4].map((step) => low + (step * (high - low)) / 4);
    return { label: one.axis, values: scaled, tickvals: ticks,
      ticktext: ticks.map((tick) => Number(log ? 10 ** tick : tick).toPrecision(3)) };
  });
  Object.entries(data.knobs).forEach(([knob, column]) => {
    const name = knob.split(".").pop(); // the section is in the table of the design
    const values = data.front.map((row) => column[row]);
    const different = [...new Set(values)];
    if (different.length < 2 || different.some((value) => typeof value === "string" && value.length > 12)
      || (different.length > 12 && !different.every((value) => typeof value === "number"))) return;
    if (different.every((value) => typeof value === "number")) {
      const tickvals = different.length <= 12 ? different.sort((a, b) => a - b) : undefined;
      dimensions.push({ label: name, values, tickvals });
    } else {
      const names = different.map(String).sort();
      dimensions.push({ label: name, values: values.map((value) => names.indexOf(String(value))),
        tickvals: names.map((_, place) => place), ticktext: names });
    }
  });
  const first = data.objectives[0];
  Plotly.newPlot("parallel", [{
    type: "parcoords", dimensions, labelangle: -24, labelfont: { size: 11 }, tickfont: { size: 10 },
    line: { color: dimensions[0].values, colorscale: "Viridis", reversescale: !quantity[first].more },
  }], { ...LAYOUT, margin: { l: 60, r: 60, t: 110, b: 24 } }, QUIET);
  element("parallel").on("plotly_restyle", () => {
    const now = element("parallel").data[0].dimensions;
    const within = (dimension, value) => {
      const range = dimension.constraintrange;
      if (!range) return true;
      return (Array.isArray(range[0]) ? range : [range]).some(([low, high]) => low <= value && value <= high);
    };
    kept = new Set(data.front.filter((_, place) => now.every((one) => within(one, one.values[place]))));
    drawFront();
  });
}

function drawHistory() {
  Plotly.newPlot("history", [{
    x: data.history.evaluations, y: data.history.hypervolume, mode: "lines+markers", marker: { size: 4 }, line: { color: BLUE },
  }], { ...LAYOUT, xaxis: { title: { text: "evaluations" }, gridcolor: "#ececec", rangemode: "tozero" },
    yaxis: { title: { text: "share of the box" }, gridcolor: "#ececec" } }, QUIET);
}

function show(row) {
  element("design").textContent = "Design " + data.designs[row] + (row === data.chosen ? ": nearest to the best of every objective" : "");
  const values = data.quantities.map((one) => [one.axis, data.values[one.name][row]]);
  const bits = Object.keys(data.knobs).filter((name) => name.startsWith("bits."));
  const rest = Object.entries(data.knobs).filter(([name]) => !bits.includes(name)).map(([name, column]) => [name, String(column[row])]);
  table(element("configuration"), null, [...values, ...rest]);
  const widths = bits.map((name, place) => ({
    type: "bar", name: name.replace("bits.", ""), marker: { color: COLOURS[place] },
    y: String(data.knobs[name][row]).split("-").map((width) => (place % 2 ? -1 : 1) * Number(width)),
    hovertemplate: "layer %{x}: %{customdata} bits<extra></extra>", customdata: String(data.knobs[name][row]).split("-"),
  }));
  element("bits").hidden = !widths.length;
  if (widths.length) Plotly.react("bits", widths, { ...LAYOUT, barmode: "relative", bargap: 0.15,
    xaxis: { title: { text: "layer" } }, yaxis: { title: { text: "bits" }, tickvals: [-8, -4, 0, 4, 8], ticktext: [8, 4, 0, 4, 8] } }, QUIET);
  const detail = data.details[row];
  element("command-line").hidden = element("stack").hidden = !detail;
  element("undetailed").hidden = Boolean(detail);
  element("undetailed").textContent =
    `where the time goes, and the command, are kept for ${Object.keys(data.details).length} designs of the front`;
  if (!detail) return;
  element("command").textContent = detail.command;
  const many = detail.layers.length > 1;
  const stacks = Object.entries(detail.stack).map(([cause, spent], place) => ({
    type: "bar", name: cause.replaceAll("_", " "), marker: { color: COLOURS[place % COLOURS.length] },
    x: many ? detail.layers : spent, y: many ? spent : [""], orientation: many ? "v" : "h",
  }));
  const time = { title: { text: "time [ms]" }, gridcolor: "#ececec" };
  Plotly.react("stack", stacks, { ...LAYOUT, barmode: "stack", bargap: 0.15, margin: { ...LAYOUT.margin, b: many ? 110 : 46 },
    xaxis: many ? { tickangle: -60, tickfont: { size: 9 }, automargin: true } : time, yaxis: many ? time : {} }, QUIET);
}

function fill() {
  element("name").textContent = data.name;
  element("about").textContent = [data.about, ...data.limits].join("; ");
  const offered = data.quantities.map((one) => one.name);
  [["across", 0], ["up", 1], ["shade", 2]].forEach(([id, place]) => {
    const select = element(id);
    offered.forEach((name) => (add(select, "option", quantity[name].label).value = name));
    select.value = data.objectives[place] || data.objectives[data.objectives.length - 1];
    select.addEventListener("change", drawFront);
  });
  element("only-front").addEventListener("change", drawFront);
  element("copy").addEventListener("click", () => navigator.clipboard && navigator.clipboard.writeText(element("command").textContent));
  element("failures").textContent = data.failures + " points that failed";
  if (data.failed.length) table(element("failed"), ["design", "reason"], data.failed.map((one) => [one.design, one.reason]));
  const count = (verdict) => data.validation.filter((row) => row.verdict === verdict).length;
  element("trust").textContent = data.validation.length
    ? `${data.validation.length} published numbers of the machine: ${["pass", "miss", "explained", "shown only"].map((one) => count(one) + " " + one).join(", ")}`
    : "not compared with published numbers: sextant report without --no-validate does";
  if (data.validation.length) {
    const rows = data.validation.map((row) => [row.id, row.published, Number(Number(row.ours).toPrecision(10)), row.unit,
      (100 * row.error).toFixed(1) + "\u00a0%", row.verdict, row.grade.replaceAll("_", " ")]);
    const drawn = table(element("validation"), ["number", "published", "ours", "unit", "error", "verdict", "grade"], rows);
    data.validation.forEach((row, place) => row.verdict === "miss" && drawn.rows[place + 1].classList.add("miss"));
  }
}

fill();
drawFront();
element("front").on("plotly_click", (event) => show(event.points[0].customdata));
// The rest follows one after the other, so that the front can be seen and clicked at once.
const rest = [() => show(data.chosen), drawHistory, drawParallel, () => (document.body.dataset.drawn = "all")];
const next = () => rest.length && (rest.shift()(), setTimeout(next));
setTimeout(next);
